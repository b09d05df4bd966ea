package frames_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"foresail.dev/telemetry/frames"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A pause grows with the failures, up to the longest, and is half of that at least.
func TestPause(t *testing.T) {
	d := frames.Daemon{Backoff: 100 * time.Millisecond, Longest: time.Second}
	for failures, most := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		most *= time.Millisecond
		for range 50 {
			if got := d.Pause(failures); got < most/2 || got > most {
				t.Fatalf("%v after %d failures, at most %v", got, failures, most)
			}
		}
	}
	if got := d.Pause(1 << 30); got > time.Second {
		t.Errorf("%v", got)
	}
}

// What went wrong is said without what gRPC puts around it.
func TestReason(t *testing.T) {
	d := frames.Daemon{}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "the daemon ended the stream"},
		{status.Error(codes.Unauthenticated, "no such token"), "the daemon does not know the token (no such token)"},
		{status.Error(codes.PermissionDenied, "viewer"), "the token may not report (viewer)"},
		{status.Error(codes.Unimplemented, "unknown service"), "nobody"},
		{status.Error(codes.Unavailable, "error reading server preface: EOF"), "what listens there does not answer in the clear: does it want TLS? name its CA"},
		{status.Error(codes.Unavailable, "connection refused"), "connection refused"},
		{errors.New("no answer within 5s"), "no answer within 5s"},
	} {
		if got := d.Reason(c.err, "nobody"); got != c.want {
			t.Errorf("%v: %q", c.err, got)
		}
	}
}

// Whatever bytes come, fields are read or refused, and nothing is read beyond them.
func FuzzFields(f *testing.F) {
	f.Add([]byte{8, 150, 1, 18, 3, 'a', 'b', 'c'})
	f.Add([]byte{18, 200, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		err := frames.Fields(b, func(x frames.Field) error {
			n += len(x.B)
			if x.Number < 1 {
				t.Errorf("field %d", x.Number)
			}
			return nil
		})
		if err != nil && !errors.Is(err, frames.ErrMalformed) {
			t.Error(err)
		}
		if n > len(b) {
			t.Errorf("%d bytes of %d", n, len(b))
		}
	})
}

// A name is cut between characters, and is text.
func FuzzClip(f *testing.F) {
	f.Add(strings.Repeat("é", 200))
	f.Add("a\xffb")
	f.Fuzz(func(t *testing.T, s string) {
		got := frames.Clip(s)
		if !utf8.ValidString(got) || len(s) <= frames.MaxName && utf8.ValidString(s) && got != s {
			t.Errorf("%q from %q", got, s)
		}
	})
}
