package otlp

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
)

func lines(t testing.TB, groups ...[]foresail.Span) []byte {
	var b bytes.Buffer
	for _, g := range groups {
		if err := WriteJSONLines(&b, g); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// What WriteJSONLines writes comes back as it was.
func TestJSONLinesComeBack(t *testing.T) {
	at := time.Unix(0, 1_700_000_000_123_456_789).UTC()
	a := foresail.Span{Trace: foresail.TraceID{1}, ID: foresail.SpanID{2}, Service: "web", Replica: "web-0", Operation: "buy",
		Kind: foresail.KindServer, Start: at, End: at.Add(time.Millisecond), Weight: 8}
	b := a
	b.ID, b.Parent, b.Service, b.Replica, b.Failed, b.Kind, b.Weight = foresail.SpanID{3}, a.ID, "stock", "", true, foresail.KindClient, 1
	var got [][]foresail.Span
	malformed, err := ReadJSONLines(bytes.NewReader(append(lines(t, []foresail.Span{a, b}, []foresail.Span{b}), "\n\n"...)), func(s []foresail.Span) error {
		got = append(got, s)
		return nil
	})
	for _, g := range got {
		for i := range g {
			if g[i].Weight == 0 { // means 1
				g[i].Weight = 1
			}
		}
	}
	if want := [][]foresail.Span{{a, b}, {b}}; err != nil || malformed != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %d malformed\n got %+v\nwant %+v", err, malformed, got, want)
	}
}

func TestBadJSONLines(t *testing.T) {
	good := string(lines(t, []foresail.Span{{Trace: foresail.TraceID{1}, ID: foresail.SpanID{2}, Service: "web", Start: time.Unix(1, 0), End: time.Unix(2, 0)}}))
	for _, tt := range []struct{ in, want string }{
		{good + "{", "line 2 is no OTLP JSON"},
		{"\n" + `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}`, "line 2 is no OTLP JSON"},
		{strings.Repeat("[", 1000), "line 1 is no OTLP JSON: values nested too deeply"},
	} {
		_, err := ReadJSONLines(strings.NewReader(tt.in), func([]foresail.Span) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.40q: %v, want %q", tt.in, err, tt.want)
		}
	}
	stop := errors.New("stop")
	if _, err := ReadJSONLines(strings.NewReader(good), func([]foresail.Span) error { return stop }); err != stop {
		t.Errorf("%v, want the callee's error", err)
	}
}

func FuzzReadJSONLines(f *testing.F) {
	f.Add(lines(f, []foresail.Span{{Trace: foresail.TraceID{1}, ID: foresail.SpanID{2}, Service: "web", Start: time.Unix(1, 0), End: time.Unix(2, 0)}}))
	f.Add([]byte("{}\n{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ReadJSONLines(bytes.NewReader(b), func(spans []foresail.Span) error {
			for i := range spans {
				if spans[i].ID == (foresail.SpanID{}) || spans[i].Start.IsZero() {
					t.Errorf("a span without an id or a time: %+v", spans[i])
				}
			}
			return nil
		})
	})
}
