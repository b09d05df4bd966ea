package testbed_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/cluster/testbed/wire"
)

// When the machine's clock is set in mid-run, by an hour here, intervals go on as before, and spans lie in them: all
// processes keep the time that the run began with.
func TestMachineClockIsSet(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"back": time.Hour, "forward": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			cfg := testbed.Config{Blueprint: pair(1), Load: rate(40), Seed: 12, OTLP: r.address}
			epoch := wire.NewEpoch()
			epoch.Wall += int64(ahead)
			cfg.SetEpoch(epoch)
			c := newCluster(t, cfg)
			s := merged(t, c, time.Second)
			if off := time.Until(s.End) - ahead; off > 5*time.Second || off < -5*time.Second {
				t.Errorf("an interval ends %v from now, not %v", time.Until(s.End), ahead)
			}
			for _, service := range []string{"users", "front", "back"} {
				eventually(t, 10*time.Second, "spans of "+service+" within the intervals", func() bool {
					return r.count(func(x foresail.Span) bool {
						return x.Service == service && !x.Start.Before(s.Start) && x.End.Before(s.End)
					}) >= 10
				})
			}
		})
	}
}
