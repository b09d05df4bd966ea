package erms

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"foresail.dev"
	"foresail.dev/plan"
)

// world is what a decision is made on.
type world struct {
	app       *foresail.App
	draft     *plan.Draft
	services  []view
	endpoints []demand
	targeted  []bool // by service: an endpoint with an objective and requests visits it
}

// view is what is known of a service.
type view struct {
	svc      *foresail.Service
	from     foresail.Allocation // what it was last asked to have
	known    bool                // that was observed
	arrivals float64             // calls a second, the most of the minutes that count, headroom included; NaN: not observed
	peak     float64             // calls a second in the busiest of the minutes that are looked back at
	visits   float64             // calls a second that endpoints' requests make, headroom included; at least arrivals
	more     float64             // how many times more arrived than traces account for
	used     float64             // cores in the newest minute; below zero: not observed
	model    Model               // seconds of its own p95, by calls a second of one container
	modelled bool
	own      float64 // seconds: its own p95 in the best of minutes; 0: not known
	full     float64 // calls a second at which a container has no CPU left; 0: not known
}

// load is how many calls a second it must be able to take.
func (v *view) load() float64 {
	if v.visits > 0 || math.IsNaN(v.arrivals) {
		return v.visits
	}
	return v.arrivals
}

// most is how many containers it may have.
func (v *view) most() float64 {
	return float64(max(v.svc.Bounds.MaxReplicas, v.svc.Bounds.MinReplicas, 1))
}

// demand is what is known of an endpoint.
type demand struct {
	rate  float64 // requests a second, headroom included
	graph *graph
	loads map[foresail.ServiceID]float64 // calls a second of each service, headroom included
}

// survey reads what was observed: graphs over all of minutes, loads over the newest few, the rest from the newest that tells it.
func (m *Manager) survey(h *foresail.History, minutes []*foresail.Snapshot) *world {
	app := h.App()
	w := &world{app: app, draft: plan.NewDraft(h, m.Name()), services: make([]view, len(app.Services)),
		endpoints: make([]demand, len(app.Endpoints)), targeted: make([]bool, len(app.Services))}
	m.demands(w, minutes)
	beats := h.Beats(10)
	newest := minutes[len(minutes)-1:]
	own := ownTimes(minutes, len(app.Services))
	for i := range app.Services {
		v, id := &w.services[i], foresail.ServiceID(i)
		v.svc = &app.Services[i]
		v.from, v.known = plan.Wanted(v.svc, plan.Latest(beats, id, foresail.SignalAllocation))
		v.own = own[i]
		v.arrivals = math.NaN()
		for _, x := range minutes {
			if st := plan.Stats(x, id); st != nil && st.Has.Has(foresail.SignalArrivals) && sane(st.Arrivals) {
				v.peak = max(v.peak, st.Arrivals/x.Duration().Seconds())
			}
		}
		for k := len(minutes) - 1; k >= 0 && (math.IsNaN(v.arrivals) || k >= len(minutes)-m.c.Peak); k-- {
			if st := plan.Stats(minutes[k], id); st != nil && st.Has.Has(foresail.SignalArrivals) && sane(st.Arrivals) {
				v.arrivals = math.Max(zero(v.arrivals), st.Arrivals/minutes[k].Duration().Seconds()*(1+m.c.Headroom))
			}
		}
		v.used = -1
		if cores, over := plan.Cores(newest, id); over > 0 && sane(cores) {
			v.used = cores
		}
		if model, ok := m.profiles.Pieces(id); ok && usable(model) {
			v.model, v.modelled = model, true
		}
		v.full = m.profiles.Full(id)
		for e := range w.endpoints {
			if d := &w.endpoints[e]; d.loads[id] > 0 {
				v.visits += d.loads[id]
				w.targeted[i] = w.targeted[i] || app.Endpoints[e].Objective != nil
			}
		}
		v.more = 1
		if v.visits > 0 && v.arrivals > v.visits {
			v.more, v.visits = v.arrivals/v.visits, v.arrivals
		}
	}
	return w
}

// zero is x, or 0 where that is no number.
func zero(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

func sane(x float64) bool { return x >= 0 && !math.IsInf(x, 1) }

// usable reports whether a model can be scaled by.
func usable(m Model) bool {
	for _, x := range []float64{m.Before.A, m.Before.B, m.After.A, m.After.B, m.Inflection} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// demands reads graphs and rates of endpoints.
func (m *Manager) demands(w *world, minutes []*foresail.Snapshot) {
	forms := make([]map[string]*seen, len(w.endpoints))
	for _, x := range minutes {
		for i := range x.Shapes {
			s := &x.Shapes[i]
			e := s.Form.Endpoint
			if int(e) >= len(w.endpoints) || w.app.Endpoints[e].Gone || !(s.Requests > 0) || math.IsInf(s.Requests, 1) || !within(s.Form, w.app) {
				continue
			}
			if forms[e] == nil {
				forms[e] = map[string]*seen{}
			}
			if f := forms[e][s.Form.Key()]; f != nil {
				f.requests += s.Requests
			} else {
				forms[e][s.Form.Key()] = &seen{s.Form, s.Requests}
			}
		}
	}
	last := minutes[max(len(minutes)-m.c.Peak, 0):]
	for e := range w.endpoints {
		d := &w.endpoints[e]
		all := make([]seen, 0, len(forms[e]))
		for _, f := range forms[e] {
			all = append(all, *f)
		}
		d.graph = complete(all) // which orders them
		d.loads = map[foresail.ServiceID]float64{}
		for _, x := range last {
			now, rate := taken(x, foresail.EndpointID(e), forms[e])
			if len(now) == 0 {
				now = all
			}
			rate *= 1 + m.c.Headroom
			d.rate = max(d.rate, rate)
			for id, n := range visits(now) {
				d.loads[id] = max(d.loads[id], rate*n)
			}
		}
	}
}

// taken are the forms that requests of an endpoint took in a minute, of those that count, and how many requests a second there were.
func taken(x *foresail.Snapshot, e foresail.EndpointID, counts map[string]*seen) (now []seen, rate float64) {
	sum := 0.0
	for i := range x.Shapes {
		if s := &x.Shapes[i]; s.Form.Endpoint == e && counts[s.Form.Key()] != nil && s.Requests > 0 && !math.IsInf(s.Requests, 1) {
			now = append(now, seen{s.Form, s.Requests})
			sum += s.Requests
		}
	}
	if x.Has.Has(foresail.SignalEndpoints) && int(e) < len(x.Endpoints) && sane(x.Endpoints[e].Arrivals) {
		sum = x.Endpoints[e].Arrivals
	}
	return now, sum / x.Duration().Seconds()
}

// within reports whether an application has all services of a form, still.
func within(f *foresail.Form, app *foresail.App) bool {
	return !slices.ContainsFunc(f.Visits, func(v foresail.Visit) bool {
		return int(v.Service) >= len(app.Services) || app.Services[v.Service].Gone
	})
}

// visits is how often one request calls each service on average, calls that nobody waits for included.
func visits(forms []seen) map[foresail.ServiceID]float64 {
	out := map[foresail.ServiceID]float64{}
	total := 0.0
	for _, f := range forms {
		total += f.requests
	}
	for _, f := range forms {
		times := make([]float64, len(f.form.Visits))
		for i, v := range f.form.Visits {
			times[i] = float64(v.Times)
			if v.Parent >= 0 {
				times[i] *= times[v.Parent]
			}
			out[v.Service] += times[i] * f.requests / total
		}
	}
	return out
}

// ownTimes are, by service, the least of minutes' p95 of its visits, of the longest kind of visit each; 0 where there is none. Minutes in
// which it used up its CPU tell of what had queued up, and don't count.
func ownTimes(minutes []*foresail.Snapshot, services int) []float64 {
	out := make([]float64, services)
	for _, x := range minutes {
		longest := make([]float64, services)
		for i := range x.Shapes {
			s := &x.Shapes[i]
			for j, v := range s.Form.Visits {
				if int(v.Service) < services && j < len(s.Own) && s.Own[j].Count() > 0 {
					if p := s.Own[j].Quantile(0.95); sane(p) {
						longest[v.Service] = max(longest[v.Service], p)
					}
				}
			}
		}
		for id, p := range longest {
			if p > 0 && !spent(plan.Stats(x, foresail.ServiceID(id)), x) && (out[id] == 0 || p < out[id]) {
				out[id] = p
			}
		}
	}
	return out
}

// spent reports whether a service used up its CPU in a minute, as far as is known.
func spent(st *foresail.ServiceStats, x *foresail.Snapshot) bool {
	if st == nil || !st.Has.Has(foresail.SignalCPU|foresail.SignalAllocation) {
		return false
	}
	used, ok := st.Cores(x.Duration())
	return ok && used > nearly*st.Allocation.Cores()
}

// requests are what the scaler is asked, and which endpoints they are of: those with an objective, requests, and a graph.
func (m *Manager) requests(w *world) (requests []Request, of []foresail.EndpointID) {
	for e := range w.endpoints {
		d, end := &w.endpoints[e], &w.app.Endpoints[e]
		if end.Objective == nil || end.Gone || !(d.rate > 0) || len(d.graph.calls) == 0 {
			continue
		}
		r := Request{Calls: slices.Clone(d.graph.calls), SLA: end.Objective.Latency.Seconds() * m.c.Factor, Workload: d.rate,
			Workloads: map[int]float64{}, Models: map[int]Model{}}
		for i := range r.Calls {
			c := &r.Calls[i]
			v := &w.services[c.Microservice]
			if x := d.loads[foresail.ServiceID(c.Microservice)] * v.more; x > 0 {
				r.Workloads[c.Microservice] = x
			} else {
				r.Workloads[c.Microservice] = 1e-9 // nobody called it lately
			}
			if v.modelled {
				r.Models[c.Microservice] = v.model
			} else {
				c.Constant = c.times() * v.own
			}
		}
		requests, of = append(requests, r), append(of, foresail.EndpointID(e))
	}
	return requests, of
}

// set asks for a number of containers.
func (w *world) set(id foresail.ServiceID, x want) {
	v := &w.services[id]
	to := v.from
	to.Replicas = int(min(max(x.replicas, 1), 1e6))
	r := plan.Admit(x.reason, v.known)
	r.Considered = append(r.Considered, fmt.Sprintf("%d replicas as before: not what this minute's calls take", v.from.Replicas))
	w.draft.Set(id, v.svc, v.from, to, r)
}

// notes are remarks, each with the services that it holds for.
type notes struct {
	texts []string
	names map[string][]string
}

func (n *notes) add(text, service string) {
	if n.names == nil {
		n.names = map[string][]string{}
	}
	if n.names[text] == nil {
		n.texts = append(n.texts, text)
	}
	n.names[text] = append(n.names[text], service)
}

// tell names the first few services of each remark.
func (n *notes) tell(d *plan.Draft) {
	for _, t := range n.texts {
		names := n.names[t]
		list := strings.Join(names[:min(len(names), 3)], ", ")
		if len(names) > 3 {
			list += fmt.Sprintf(" and %d more", len(names)-3)
		}
		d.Note(list + ": " + t)
	}
}
