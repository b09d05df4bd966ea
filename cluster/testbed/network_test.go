package testbed_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
)

// headers is what HTTP may add to one message. Spans are no messages of the application: a request's of one service
// alone have more bytes than that.
const headers = 256

// Replicas really send and receive what the application file says, as snapshots tell.
func TestNetworkCarriesWhatTheFileSays(t *testing.T) {
	t.Parallel()
	b := pair(1)
	page, do := &b.Services[0].Operations[0], &b.Services[1].Operations[0]
	page.Request, page.Response = 2_000, 30_000
	do.Request, do.Response = 500, 100_000
	page.Steps[0].Calls[0].Repeat = 2
	c := newCluster(t, testbed.Config{Blueprint: b, Load: rate(60), Seed: 12})
	total := []*foresail.Snapshot{merged(t, c, 2*time.Second)}
	c.SetLoad(rate(0))
	eventually(t, 5*time.Second, "figures newer than the last request", func() bool {
		total = append(total, merged(t, c, 500*time.Millisecond))
		e := c.Summary().Endpoints[0]
		return len(total) > 4 && e.Ended == e.Sent
	})
	e := c.Summary().Endpoints[0]
	if e.Sent < 60 || e.Errors > 0 {
		t.Fatalf("the users' figures: %+v", e)
	}
	s := foresail.Merge(total...)
	for i, want := range []struct{ in, out, messages int64 }{
		{2_000 + 2*100_000, 30_000 + 2*500, 3}, // per request
		{2 * 500, 2 * 100_000, 2},
	} {
		u := &s.Services[i]
		if len(u.Replicas) != 1 {
			t.Fatalf("service %d has %d replicas", i, len(u.Replicas))
		}
		for _, u := range []*foresail.Usage{&u.Usage, &u.Replicas[0].Usage} {
			if !u.Has.Has(foresail.SignalNetwork) {
				t.Errorf("service %d: the network is absent", i)
			}
			for what, got := range map[string][2]int64{"received": {u.NetIn, want.in}, "sent": {u.NetOut, want.out}} {
				if least := e.Sent * got[1]; got[0] < least || got[0] > least+e.Sent*want.messages*headers {
					t.Errorf("service %d %s %d bytes for %d requests of %d each", i, what, got[0], e.Sent, got[1])
				}
			}
		}
	}
}

// What a replica carried before it was killed is told all the same.
func TestNetworkOfKilledReplica(t *testing.T) {
	t.Parallel()
	b := pair(2)
	b.Services[1].Operations[0].Response = 100_000
	// Intervals are told a good while after their end: what the killed replica carried meanwhile, some 24 answers, was not.
	c := newCluster(t, testbed.Config{Blueprint: b, Load: rate(60), Seed: 13, Beat: time.Second, Lag: 800 * time.Millisecond})
	total := []*foresail.Snapshot{merged(t, c, time.Second)}
	for _, w := range c.Writes() {
		if w.Replica == "back-0" {
			if err := syscall.Kill(member(t, filepath.Dir(w.Path)), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	total = append(total, merged(t, c, 2*time.Second))
	c.SetLoad(rate(0))
	eventually(t, 5*time.Second, "figures newer than the last request", func() bool {
		total = append(total, merged(t, c, time.Second))
		e := c.Summary().Endpoints[0]
		return e.Ended == e.Sent
	})
	s := foresail.Merge(total...)
	const uncounted = 5 // answers that were written, but not yet counted, when the kill came
	if got, least := s.Services[1].NetOut, (answered(c)-uncounted)*100_000; answered(c) < 60 || got < least {
		t.Errorf("%d bytes sent for %d answers", got, answered(c))
	}
}
