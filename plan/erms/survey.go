package erms

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"foresail.dev"
	"foresail.dev/plan"
)

// world is what a decision is made on: what is, and one minute's loads.
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
	load     float64             // calls a second that it must be able to take, headroom included
	more     float64             // how many times more arrived than traces account for
	used     float64             // cores in the newest minute; below zero: not observed
	spent    bool                // that was nearly all it had
	model    Model               // seconds of its own p95, by calls a second of one container
	modelled bool
	own      float64 // seconds: its own p95 in the best of minutes; 0: not known
	full     float64 // calls a second at which a container has no CPU left; 0: not known
}

// most is how many containers it may have.
func (v *view) most() float64 {
	return float64(max(v.svc.Bounds.MaxReplicas, v.svc.Bounds.MinReplicas, 1))
}

// demand is what is known of an endpoint.
type demand struct {
	graph *graph
	rate  float64   // requests a second, headroom included
	loads []float64 // calls a second of each service, headroom included
}

// survey reads what was observed: graphs over all of minutes, the rest from the newest that tells it.
func (m *Manager) survey(h *foresail.History, minutes []*foresail.Snapshot) *world {
	app := h.App()
	w := &world{app: app, draft: plan.NewDraft(h, m.Name()), services: make([]view, len(app.Services)),
		endpoints: make([]demand, len(app.Endpoints)), targeted: make([]bool, len(app.Services))}
	for e, forms := range taken(app, minutes) {
		w.endpoints[e].graph = complete(forms)
	}
	beats := h.Beats(10)
	newest := minutes[len(minutes)-1:]
	own := ownTimes(minutes, len(app.Services))
	for i := range app.Services {
		v, id := &w.services[i], foresail.ServiceID(i)
		v.svc = &app.Services[i]
		v.from, v.known = plan.Wanted(v.svc, plan.Latest(beats, id, foresail.SignalAllocation))
		v.own = own[i]
		v.used = -1
		if cores, over := plan.Cores(newest, id); over > 0 && sane(cores) {
			v.used = cores
			v.spent = spent(plan.Stats(newest[0], id), newest[0])
		}
		if model, ok := m.profiles.Pieces(id); ok && usable(model) {
			v.model, v.modelled = model, true
		}
		v.full = m.profiles.Full(id)
	}
	return w
}

// at makes the loads those of a minute, and headroom more.
func (w *world) at(t *loads, headroom float64) {
	clear(w.targeted)
	visits := make([]float64, len(w.services))
	for e := range w.endpoints {
		d := &w.endpoints[e]
		d.rate, d.loads = 0, make([]float64, len(w.services))
		if e >= len(t.Rates) {
			continue
		}
		d.rate = t.Rates[e] * (1 + headroom)
		for i := range min(len(d.loads), len(t.Loads[e])) {
			d.loads[i] = t.Loads[e][i] * (1 + headroom)
			visits[i] += d.loads[i]
			w.targeted[i] = w.targeted[i] || d.loads[i] > 0 && w.app.Endpoints[e].Objective != nil
		}
	}
	for i := range w.services {
		v := &w.services[i]
		v.load, v.more = visits[i], 1
		if i < len(t.Arrivals) && t.Arrivals[i]*(1+headroom) > v.load {
			arrived := t.Arrivals[i] * (1 + headroom)
			if v.load > 0 {
				v.more = arrived / v.load
			}
			v.load = arrived
		}
	}
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
			if x := d.loads[c.Microservice] * v.more; x > 0 {
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
