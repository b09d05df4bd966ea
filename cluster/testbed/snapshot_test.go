package testbed_test

import (
	"context"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/cluster/testbed/users"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/otlp"
)

// What the snapshots of the assembler tell, late additions included, is what the users counted themselves; and it is
// there when the interval is told, but for a few stragglers. A machine that does something else makes more of them, so that it
// need hold in one of three runs, and nothing runs beside them.
func TestSnapshotsAgreeWithUsers(t *testing.T) {
	const runs = 3
	for run := range runs {
		sent, late := agree(t)
		t.Logf("%v requests, %v told late", sent, late)
		switch {
		case t.Failed() || late <= 0.2*sent:
			return
		case run == runs-1:
			t.Errorf("%v of %v requests were told late", late, sent)
		}
	}
}

// agree is one run: how many requests there were, and of how many snapshots told late.
func agree(t *testing.T) (sent, late float64) {
	t.Helper()
	b := twoTier()
	assembler := telemetry.NewAssembler(b.App, telemetry.Options{EndpointService: users.Service})
	receiver, err := otlp.Listen(otlp.Config{GRPC: "127.0.0.1:0"}, assembler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receiver.Shutdown(context.Background()) })
	c := newCluster(t, testbed.Config{Blueprint: b, Load: rate(100), Seed: 11, Observer: assembler, OTLP: receiver.GRPCAddr()})

	var onTime, front, calls float64
	add := func(s *foresail.Snapshot, into *float64) {
		if len(s.Endpoints) > 0 {
			*into += s.Endpoints[0].Requests
		}
		if len(s.Services) > 0 {
			front += s.Services[0].Completions
		}
		for _, e := range s.Edges {
			if e.From == 0 && e.To == 1 {
				calls += e.Calls
			}
		}
	}
	// On a busy machine intervals come merged, and spans as late as an assembler takes them.
	const span, rest = 3 * time.Second, foresail.RevisionLimit
	covered, quiet := time.Duration(0), time.Duration(0)
	watch(t, c, time.Minute, func(s *foresail.Snapshot) bool {
		add(s, &onTime)
		for _, l := range s.Late {
			add(l, &late)
		}
		if covered += s.Duration(); covered < span {
			return false
		}
		if quiet == 0 {
			c.SetLoad(rate(0))
		}
		quiet += s.Duration()
		users := c.Summary().Endpoints[0]
		sent = float64(users.Sent)
		told := users.Ended == users.Sent && onTime+late >= sent && front >= sent && calls >= sent
		return quiet > time.Second && told || quiet > 2*rest
	})
	if sent < 200 || onTime+late != sent || front != sent || calls != sent {
		t.Errorf("of %v requests, snapshots tell of %v on time and %v late; %v visits of the front end, %v of its calls; %+v",
			sent, onTime, late, front, calls, assembler.Stats())
	}
	return sent, late
}
