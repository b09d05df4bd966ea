package derm

import (
	"fmt"
	"strings"

	"foresail.dev"
)

// reason tells why a service gets what it gets: the endpoint that comes nearest to its limit among those that visit it, and what
// the service has to do with that.
func (m *Manager) reason(f *frame, i int, want []int) foresail.Reason {
	load := f.ahead.visits[i] / float64(max(want[i], 1))
	r := foresail.Reason{Rule: "derm/percentile"}
	floor := want[i] == f.floor[i]
	if floor {
		r.Bound = f.lowest[i]
	}
	worst, at := f.worst(i)
	if at < 0 {
		r.Rule = "derm/usage"
		r.Text = fmt.Sprintf("%.0f visits/s are expected at most, %.1f for each of %d: no endpoint with an objective waits for it, and CPU alone counts",
			f.ahead.visits[i], load, want[i])
		r.Considered = append(r.Considered, fmt.Sprintf("%d as before", f.from[i].Replicas))
		return r
	}
	e := f.expected(at, want)
	part := 0.0
	for _, p := range e.Tail {
		if p.Service == foresail.ServiceID(i) {
			part = p.Share
		}
	}
	r.Text = fmt.Sprintf("p%.4g of %s is expected at %.1f ms of %.0f ms, with %d for %.0f visits/s, %.1f each: %.0f %% of what its slowest requests take",
		e.Endpoint.Percentile, e.Endpoint.Name, e.Latency*1000, e.Endpoint.Limit*1000, want[i], f.ahead.visits[i], load, part*100)
	if len(e.Tail) > 0 && e.Tail[0].Service != foresail.ServiceID(i) {
		r.Text += fmt.Sprintf(" (%s: %.0f %%)", f.app.Services[e.Tail[0].Service].Name, e.Tail[0].Share*100)
	}
	if floor {
		r.Considered = append(r.Considered, fmt.Sprintf("fewer than %d: %s", want[i], f.lowest[i]))
	} else if want[i] > 1 {
		k := make([]float64, len(worst.services))
		for j, s := range worst.services {
			k[j] = float64(want[s])
			if s == i {
				k[j]--
			}
		}
		r.Considered = append(r.Considered, fmt.Sprintf("%d: p%.4g of %s would be %.1f ms", want[i]-1, worst.e.Percentile, worst.e.Name, worst.latency(k, nil)*1000))
	}
	r.Considered = append(r.Considered, fmt.Sprintf("%d as before; the mix: %s", f.from[i].Replicas, strings.TrimSpace(f.ahead.method)))
	return r
}

// worst is the endpoint nearest to its limit of those that wait for a service; -1 where none does.
func (f *frame) worst(i int) (*tail, int) {
	if f.result == nil {
		return nil, -1
	}
	at, most := -1, 0.0
	for k, x := range f.result.tails {
		for _, s := range x.services {
			if s == i {
				if share := f.result.Endpoints[k].Latency / x.e.Limit; share > most {
					at, most = k, share
				}
			}
		}
	}
	if at < 0 {
		return nil, -1
	}
	return f.result.tails[at], at
}

// expected is what the plan means to an endpoint; it is worked out once.
func (f *frame) expected(k int, want []int) Expected {
	if f.told == nil {
		f.told = make(map[int]Expected)
	}
	e, ok := f.told[k]
	if !ok {
		e = f.result.Expected(k, want)
		f.told[k] = e
	}
	return e
}
