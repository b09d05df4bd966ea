package outlet

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sender does what a test says, and remembers.
type sender struct {
	mu    sync.Mutex
	do    func(ctx context.Context, try int) error
	tries int
	got   []string
}

func (s *sender) Name() string { return "a sender" }
func (s *sender) Send(ctx context.Context, m *Message) error {
	s.mu.Lock()
	s.tries++
	try := s.tries
	s.mu.Unlock()
	if err := s.do(ctx, try); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, m.ID)
	return nil
}

// Whoever hands messages over does not wait, however slow the other side is: what finds no room is dropped and counted.
func TestASlowOutletBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{do: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }}
		o := Open(s, Config{Queue: 4})
		began, taken := time.Now(), 0
		for range 100 {
			if o.Put(&Message{}) {
				taken++
			}
			synctest.Wait()
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v", d)
		}
		if taken != 5 || o.Stats().Dropped != 95 { // one is being sent
			t.Errorf("%d are taken, %+v", taken, o.Stats())
		}
		o.Close(time.Second)
		if d := time.Since(began); d > time.Second {
			t.Errorf("closing took %v, a second was granted", d)
		}
		if st := o.Stats(); st.Failed != 5 || st.Sent != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTriesAgainLongerAndLonger(t *testing.T) {
	for name, c := range map[string]struct {
		errs                  int
		err                   error
		sent, failed, retries uint64
		least, most           time.Duration
	}{
		"at once":          {0, nil, 1, 0, 0, 0, 0},
		"at the third try": {2, errors.New("busy"), 1, 0, 2, 750 * time.Millisecond, 1500 * time.Millisecond},
		"never":            {100, errors.New("busy"), 0, 1, 5, 6750 * time.Millisecond, 13500 * time.Millisecond}, // 0.5+1+2+4+6
		"refused":          {100, &Refused{"no"}, 0, 1, 0, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &sender{do: func(_ context.Context, try int) error {
				if try <= c.errs {
					return c.err
				}
				return nil
			}}
			var told []string
			o := Open(s, Config{Most: 6 * time.Second, Tell: func(line string) { told = append(told, line) }})
			began := time.Now()
			o.Put(&Message{ID: "a"})
			o.Close(time.Hour)
			st := o.Stats()
			if st.Sent != c.sent || st.Failed != c.failed || st.Retries != c.retries {
				t.Errorf("%s: %+v", name, st)
			}
			if d := time.Since(began); d < c.least || d > c.most {
				t.Errorf("%s: took %v, want %v to %v", name, d, c.least, c.most)
			}
			if (len(told) > 0) != (c.failed > 0) {
				t.Errorf("%s: told %q", name, told)
			}
		})
	}
}

// Messages arrive in order, those that wait when it is closed too; a loss is told once, and its end.
func TestOrderAndWhatIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{do: func(_ context.Context, try int) error {
			if try == 2 || try == 3 {
				return &Refused{"no"}
			}
			return nil
		}}
		var told []string
		o := Open(s, Config{Tell: func(line string) { told = append(told, line) }})
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			o.Put(&Message{ID: id})
		}
		o.Close(time.Minute)
		if got := strings.Join(s.got, ""); got != "ade" {
			t.Errorf("%s arrived", got)
		}
		if len(told) != 2 || !strings.Contains(told[0], "lost: no") || !strings.Contains(told[1], "again") {
			t.Errorf("told %q", told)
		}
	})
}

// What is told of a failed request has neither the path nor the query of its address: they may be a token.
func TestAddressesAreNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{do: func(context.Context, int) error {
			return &url.Error{Op: "Post", URL: "https://hooks/services/T0KEN?key=T0KEN", Err: errors.New("no such host")}
		}}
		var told string
		o := Open(s, Config{Tries: 1, Tell: func(line string) { told += line }})
		o.Put(&Message{})
		o.Close(time.Minute)
		if !strings.Contains(told, "no such host") || strings.Contains(told, "T0KEN") {
			t.Errorf("told: %s", told)
		}
	})
	for _, bad := range []string{"hooks/T0KEN", "ftp://hooks/T0KEN", "https://me:T0KEN@hooks", "https://hooks/%zzT0KEN", "https:///T0KEN"} {
		if _, shown, err := address(bad); err == nil || strings.Contains(err.Error()+shown, "T0KEN") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
