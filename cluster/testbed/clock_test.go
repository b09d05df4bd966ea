package testbed_test

import (
	"context"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/cluster/testbed/users"
	"foresail.dev/cluster/testbed/wire"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/otlp"
)

// When the machine's clock is set in mid-run, by an hour here, intervals go on as before, and the requests lie in them:
// all processes, and the receiver, keep the time that the run began with.
func TestMachineClockIsSet(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"back": time.Hour, "forward": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			epoch := wire.NewEpoch()
			epoch.Wall += int64(ahead)
			b := pair(1)
			assembler := telemetry.NewAssembler(b.App, telemetry.Options{EndpointService: users.Service})
			receiver, err := otlp.Listen(otlp.Config{GRPC: "127.0.0.1:0", Now: wire.NewClock(epoch).Now}, assembler)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = receiver.Shutdown(context.Background()) })
			c := newCluster(t, testbed.Config{Blueprint: b, Load: rate(40), Seed: 12, Observer: assembler, OTLP: receiver.GRPCAddr(), Epoch: epoch})
			var requests, visits float64
			watch(t, c, 20*time.Second, func(s *foresail.Snapshot) bool {
				if off := time.Until(s.End) - ahead; off > 10*time.Second || off < -10*time.Second {
					t.Errorf("an interval ends %v from now, not %v", time.Until(s.End), ahead)
				}
				for _, s := range append(s.Late, s) {
					if len(s.Endpoints) > 0 && len(s.Services) > 1 {
						requests += s.Endpoints[0].Requests
						visits += s.Services[1].Completions
					}
				}
				return requests >= 40 && visits >= 40
			})
			if got := assembler.Stats(); requests < 40 || visits < 40 || got.Dropped.Total() > 0 {
				t.Errorf("%v requests, %v visits of the back end; the assembler's counts: %+v", requests, visits, got)
			}
		})
	}
}
