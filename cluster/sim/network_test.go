package sim_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"pgregory.net/rapid"
)

// checkBytes holds for every snapshot: what one service sends another receives in the same beat, so that what services
// receive and don't send is what users sent and did not receive. Only users call service 0.
func checkBytes(t *rapid.T, bp *foresail.Blueprint, s *foresail.Snapshot) {
	entry := &bp.Services[0].Operations[bp.Entries[0].Operation]
	balance := int64(s.Endpoints[0].Requests-s.Endpoints[0].Errors) * entry.Response
	for _, r := range s.Services[0].Replicas {
		balance -= int64(r.Arrivals) * entry.Request
	}
	for i := range s.Services {
		u := &s.Services[i]
		balance += u.NetIn - u.NetOut
		if u.NetIn < 0 || u.NetOut < 0 {
			t.Fatalf("service %d received %d bytes and sent %d", i, u.NetIn, u.NetOut)
		}
	}
	if balance != 0 {
		t.Fatalf("%d bytes were received that nobody sent: %+v", balance, s.Services)
	}
}

// Each service's bytes are, to the byte, what its spans tell: a request for each server span, an answer for each client
// span that did not fail; whatever was refused, given up, tried again or called for nobody.
func TestBytesAreThoseOfSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bp := anyBlueprint(t)
		const most = 1 << 20 // a few blueprints call each other so much that their spans would fill all memory
		var spans []foresail.Span
		c, err := sim.New(sim.Config{Blueprint: bp, Load: anyLoad(t), Seed: rapid.Uint64().Draw(t, "seed"),
			TraceShare: 1, Spans: func(s []foresail.Span) {
				if len(spans) < most {
					spans = append(spans, s...)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		ids, in, out := map[string]int{}, make([]int64, len(bp.Services)), make([]int64, len(bp.Services))
		for i := range bp.App.Services {
			ids[bp.App.Services[i].Name] = i
		}
		answered := int64(0) // of users' requests
		for beat := 0; beat < 20 || c.Live() > 0; beat++ {
			s, err := c.Next(background)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.Services {
				in[i] -= s.Services[i].NetIn
				out[i] -= s.Services[i].NetOut
			}
			answered += int64(s.Endpoints[0].Requests - s.Endpoints[0].Errors)
			if len(spans) >= most {
				t.Skip("a blueprint whose calls multiply: its spans would fill all memory; other draws of this test run")
			}
		}
		// From here on what the spans tell is added: in the end nothing may be left.
		operation := func(s foresail.Span) *foresail.Operation {
			return &bp.Services[ids[s.Service]].Operations[s.Operation[0]-'0']
		}
		clients := map[foresail.SpanID]foresail.Span{}
		for _, s := range spans {
			if s.Kind == foresail.KindClient {
				clients[s.ID] = s
			}
		}
		for _, s := range spans {
			if s.Kind != foresail.KindServer {
				continue
			}
			in[ids[s.Service]] += operation(s).Request
			client, ok := clients[s.Parent]
			if !ok { // a user
				continue
			}
			out[ids[client.Service]] += operation(s).Request
			if !client.Failed {
				out[ids[s.Service]] += operation(s).Response
				in[ids[client.Service]] += operation(s).Response
			}
		}
		out[0] += answered * bp.Services[0].Operations[0].Response
		for i := range in {
			if in[i] != 0 || out[i] != 0 {
				t.Fatalf("service %d: the spans tell of %d bytes more in, and %d more out, than the snapshots", i, in[i], out[i])
			}
		}
	})
}

// A service's network is observed when all of it is known: what it is asked, and what it may ask of others, even after
// a cache miss. The others' is absent, not a part of it.
func TestNetworkIsWholeOrAbsent(t *testing.T) {
	sized := func(steps ...foresail.Step) []foresail.Operation {
		return []foresail.Operation{{Name: "op", Steps: steps, Request: 10, Response: 100}}
	}
	missing := call(2)
	missing.Cached, missing.Miss = true, []foresail.Step{calls(call(3))}
	bp := blueprint(
		foresail.ServiceBlueprint{Operations: sized(calls(call(1)))},
		foresail.ServiceBlueprint{Operations: sized(calls(missing))},
		foresail.ServiceBlueprint{Operations: sized()},
		foresail.ServiceBlueprint{Operations: []foresail.Operation{{Name: "op", Request: 10}}},
	)
	s := run(t, newSim(t, sim.Config{Blueprint: bp, Load: constant(50), Seed: 1}), time.Second, nil)
	for i, known := range []bool{true, false, true, false} {
		u := &s.Services[i]
		for _, has := range []*foresail.Usage{&u.Usage, &u.Replicas[0].Usage} {
			if has.Has.Has(foresail.SignalNetwork) != known || (has.NetIn > 0) != known || (has.NetOut > 0) != known {
				t.Errorf("service %d: network known: %v, %d bytes in and %d out", i, has.Has.Has(foresail.SignalNetwork), has.NetIn, has.NetOut)
			}
		}
	}
	n := int64(s.Services[0].Completions)
	equal(t, "bytes into the entry", s.Services[0].NetIn, n*(10+100))
	equal(t, "bytes out of the entry", s.Services[0].NetOut, n*(100+10))
	equal(t, "bytes into the cache", s.Services[2].NetIn, n*10)
	equal(t, "bytes out of the cache", s.Services[2].NetOut, n*100)
}
