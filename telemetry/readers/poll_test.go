package readers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
)

// scripted is a server that answers by the time.
type scripted func(time.Duration) (Reading, error)

type fake struct {
	start  time.Time
	answer scripted
	closed bool
}

func (f *fake) Read(ctx context.Context) (Reading, error) { return f.answer(time.Since(f.start)) }
func (f *fake) Close() error                              { f.closed = true; return nil }

type sink struct{ reports []telemetry.Report }

func (s *sink) AddReports(_ time.Time, r []telemetry.Report) telemetry.Result {
	s.reports = append(s.reports, r...)
	return telemetry.Result{}
}

const has = foresail.SignalInFlight | foresail.SignalArrivals

// A server is asked each beat; what it tells becomes reports that follow each other, and counters grow from zero.
func TestPollEachBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{start: time.Now(), answer: func(d time.Duration) (Reading, error) {
			n := float64(d / foresail.Beat)
			return Reading{Has: has, InFlight: n, Arrivals: 1000 + 10*n, Busy: -1}, nil
		}}
		s := &sink{}
		p := Poll([]Source{{Service: "cache", Replica: "c-1", Reader: f}}, s, nil)
		time.Sleep(foresail.Beat*10 + time.Millisecond)
		p.Close()
		p.Close()
		if len(s.reports) != 10 || !f.closed {
			t.Fatalf("%d reports, closed %v", len(s.reports), f.closed)
		}
		for i, r := range s.reports {
			n := float64(i + 1)
			if r.InFlight != (foresail.Gauge{Last: n, Mean: n - 0.5, Max: n}) || r.Arrivals != 10*n || r.Service != "cache" || r.Replica != "c-1" ||
				r.End-r.Start != int64(foresail.Beat) || i > 0 && r.Start != s.reports[i-1].End || r.Since != s.reports[0].Start {
				t.Errorf("%d: %+v", i, r)
			}
		}
	})
}

// A server that fails is asked once a second, and told of once; when it begins anew its counters do too.
func TestPollTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, told := 0, []string{}
		f := &fake{start: time.Now(), answer: func(d time.Duration) (Reading, error) {
			switch {
			case d < time.Second:
				return Reading{Has: has, Arrivals: 500 + d.Seconds(), Busy: 0.5 * d.Seconds()}, nil
			case d < 5*time.Second:
				asked++
				return Reading{}, errors.New("refused")
			}
			return Reading{Has: has, Arrivals: d.Seconds(), Busy: -1}, nil
		}}
		s := &sink{}
		p := Poll([]Source{{Service: "cache", Reader: f}}, s, func(err error) { told = append(told, err.Error()) })
		time.Sleep(8 * time.Second)
		synctest.Wait()
		p.Close()
		if asked != 4 || len(told) != 2 || told[0] != "cache does not tell what is in flight: refused" {
			t.Errorf("asked %d times, told %q", asked, told)
		}
		if r := s.reports[3]; r.InFlight.Mean < 0.49 || r.InFlight.Mean > 0.51 {
			t.Errorf("half of the time was spent in requests: %+v", r)
		}
		for _, r := range s.reports {
			if r.Arrivals < 0 || r.Arrivals > 4 {
				t.Errorf("%+v", r)
			}
		}
	})
}
