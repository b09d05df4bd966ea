package testbed

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/load"
)

// Silence is stale only when requests were due: 40 per second miss their first beats by chance, but not two seconds.
func TestQuiet(t *testing.T) {
	const beat = 100 * time.Millisecond
	open := &load.Load{Curve: []load.Segment{{From: 40}}}
	crowd := &load.Load{Mode: load.Closed, Think: time.Second, Curve: []load.Segment{{From: 80}}}
	for _, test := range []struct {
		name string
		load *load.Load
		want int // the first stale beat; 0: none in 50
	}{
		{"nobody calls", &load.Load{}, 0},
		{"40 per second", open, 3}, // after 4, 8, 12 requests
		{"80 users who think for a second", crowd, 3},
		{"one in ten seconds", &load.Load{Curve: []load.Segment{{From: 0.1}}}, 0},
	} {
		q := &quiet{load: test.load}
		stale := 0
		for n := 1; n <= 50 && stale == 0; n++ {
			s := &foresail.Snapshot{Stale: true, Services: make([]foresail.ServiceStats, 1)}
			q.judge(s, q.due(time.Duration(n-1)*beat, time.Duration(n)*beat))
			if known := s.Services[0].Has.Has(foresail.SignalArrivals) && s.Has.Has(foresail.SignalEndpoints); known == s.Stale {
				t.Errorf("%s: stale %v, requests known %v", test.name, s.Stale, known)
			}
			if s.Stale {
				stale = n
			}
		}
		if stale != test.want {
			t.Errorf("%s: stale in beat %d, not %d", test.name, stale, test.want)
		}
		q.judge(&foresail.Snapshot{}, 4) // something was observed: the count begins again
		s := &foresail.Snapshot{Stale: true}
		if q.judge(s, 4); s.Stale {
			t.Errorf("%s: stale one beat after an observation", test.name)
		}
	}
}
