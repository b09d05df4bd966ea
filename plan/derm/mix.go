package derm

import (
	"cmp"
	"math"
	"slices"

	"foresail.dev"
)

// mix is what requests do, or may come to do.
type mix struct {
	why    string
	rate   float64   // requests a second, of all endpoints
	share  []float64 // of all requests, by form
	visits []float64 // a second, by service; here and elsewhere each counts by what it costs: see visited
}

// outlook is what the next minute may bring.
type outlook struct {
	forms    []*foresail.Form
	expected mix
	others   []mix     // that must be held as well
	visits   []float64 // a second, by service: the most of any of them
	method   string    // which predicted it, and why that
}

// ahead says what the next minute may bring: what is predicted, each mix that may come by that, and those of the newest minutes.
func (m *Manager) ahead(app *foresail.App) (*outlook, bool) {
	s := &m.state
	p, err := m.predictor.Predict(1)
	if err != nil || len(s.Minutes) == 0 {
		return nil, false
	}
	last := &s.Minutes[len(s.Minutes)-1]
	o := &outlook{method: p.Reason, visits: make([]float64, len(app.Services))}
	keep := make([]int, 0, len(p.Forms))
	for i, f := range p.Forms {
		if lives(app, f) {
			keep = append(keep, i)
			o.forms = append(o.forms, f)
		}
	}
	if len(keep) == 0 {
		return nil, false
	}
	correct := m.correct(app)
	spread := 0.0
	recent := s.Minutes[max(0, len(s.Minutes)-m.c.Memory):]
	for i := range recent {
		spread += recent[i].Spread / float64(len(recent))
	}
	rate := last.Rate * (1 + m.c.Margin*spread)
	made := func(why string, shares []float64) mix {
		x := mix{why: why, rate: rate, share: make([]float64, len(keep)), visits: make([]float64, len(app.Services))}
		sum := 0.0
		for k, i := range keep {
			x.share[k] = max(shares[i], 0)
			sum += x.share[k]
		}
		for k, f := range o.forms {
			if sum > 0 {
				x.share[k] /= sum
			}
			for _, v := range m.visitsOf(f) {
				x.visits[v.service] += x.share[k] * rate * v.work * correct[v.service]
			}
		}
		return x
	}
	o.expected = made("as expected", p.Shares)
	for _, sc := range p.Scenarios {
		if sc.Weight >= m.c.Unlikely {
			o.others = append(o.others, made(sc.Why, sc.Shares))
		}
	}
	index := make(map[string]int, len(p.Forms))
	for i, f := range p.Forms {
		index[f.Key()] = i
	}
	for i := len(recent) - 1; i >= 0; i-- {
		shares := make([]float64, len(p.Forms))
		for _, f := range recent[i].Forms {
			if k, ok := index[f.form.Key()]; ok {
				shares[k] += f.requests / recent[i].Rate
			}
		}
		o.others = append(o.others, made("as in a minute before", shares))
	}
	for i := range o.visits {
		o.visits[i] = o.expected.visits[i]
		for _, x := range o.others {
			o.visits[i] = max(o.visits[i], x.visits[i])
		}
	}
	return o, true
}

// Mixes are alike where no service gets a share more visits under one of them than under the other, or where those are a small share
// of all visits. At most so many kinds of them are told apart: the rest goes to the last.
const (
	likeness  = 0.15
	mostKinds = 6
)

// alike divides what may come into kinds of mixes, each held by itself: no request comes under the visits that a service gets under one
// kind while another gets those of another. The first is the one that is expected.
func (o *outlook) alike() (out []*outlook) {
	for k := -1; k < len(o.others); k++ {
		x := &o.expected
		if k >= 0 {
			x = &o.others[k]
		}
		i := slices.IndexFunc(out, func(a *outlook) bool { return near(a.expected.visits, x.visits) })
		if i < 0 && len(out) == mostKinds {
			i = len(out) - 1
		}
		if i < 0 {
			out = append(out, &outlook{forms: o.forms, expected: *x, visits: slices.Clone(x.visits), method: o.method})
			continue
		}
		a := out[i]
		a.others = append(a.others, *x)
		for s, v := range x.visits {
			a.visits[s] = max(a.visits[s], v)
		}
	}
	return out
}

// near reports whether visits are alike.
func near(a, b []float64) bool {
	all := 0.0
	for i := range a {
		all += a[i]
	}
	for i := range a {
		if math.Abs(a[i]-b[i]) > likeness*max(min(a[i], b[i]), 0.01*all) {
			return false
		}
	}
	return true
}

// bring are the visits that so many requests of each endpoint make, by the call graphs expected of them, and by how much they count
// more than as one each.
func (m *Manager) bring(o *outlook, requests, correct []float64) (visits, more []float64) {
	total := make([]float64, len(requests))
	for i, f := range o.forms {
		total[f.Endpoint] += o.expected.share[i]
	}
	visits, more = make([]float64, len(correct)), make([]float64, len(correct))
	for i, f := range o.forms {
		if total[f.Endpoint] > 0 {
			for _, v := range m.visitsOf(f) {
				n := requests[f.Endpoint] * o.expected.share[i] / total[f.Endpoint]
				visits[v.service] += n * v.work * correct[v.service]
				more[v.service] += n * v.times * correct[v.service]
			}
		}
	}
	for i, n := range more {
		if more[i] = 1; n > 0 {
			more[i] = visits[i] / n
		}
	}
	return visits, more
}

// correct is by how much more visits of each service were observed in the newest minute than its call graphs tell.
func (m *Manager) correct(app *foresail.App) []float64 {
	last := &m.state.Minutes[len(m.state.Minutes)-1]
	told := make([]float64, len(app.Services))
	for _, f := range last.Forms {
		if !lives(app, f.form) {
			continue
		}
		for _, v := range m.visitsOf(f.form) {
			told[v.service] += f.requests * v.times
		}
	}
	for i, t := range told {
		told[i] = 1
		if t > 0 && i < len(last.Visits) && last.Visits[i] > 0 {
			told[i] = min(max(last.Visits[i]/t, 0.5), 2)
		}
	}
	return told
}

// visited is how often one request visits a service, and what that counts: a visit that needs twice the CPU of the service's mean one
// counts as two of those.
type visited struct {
	service     foresail.ServiceID
	times, work float64
}

// visitsOf are the visits of a form, those that nobody waits for included, one after the other.
func (m *Manager) visitsOf(f *foresail.Form) []visited {
	out := make([]visited, len(f.Visits))
	for i, v := range f.Visits {
		out[i] = visited{service: v.Service, times: float64(v.Times)}
		if v.Parent >= 0 {
			out[i].times *= out[v.Parent].times
		}
		out[i].work = out[i].times * m.profiler.Weight(v.Service, v.Operation)
	}
	return out
}

// weighed are the visits of a minute, by what they cost.
func (m *Manager) weighed(mt *minute) []float64 {
	out, times := make([]float64, len(mt.Visits)), make([]float64, len(mt.Visits))
	for _, f := range mt.Forms {
		for _, v := range m.visitsOf(f.form) {
			out[v.service] += f.requests * v.work
			times[v.service] += f.requests * v.times
		}
	}
	for i, n := range mt.Visits {
		if times[i] > 0 {
			n *= out[i] / times[i]
		}
		out[i] = n
	}
	return out
}

// forms divides an endpoint's requests among its call graphs, the commonest first and so many at most, with the least and the
// most share that any of the mixes gives them. What is left goes to those that are told. nil where none takes place.
func (o *outlook) ofEndpoint(e foresail.EndpointID, most int) []Share {
	var at []int
	total := 0.0
	for i, f := range o.forms {
		if f.Endpoint == e {
			at = append(at, i)
			total += o.expected.share[i]
		}
	}
	within := func(x *mix) (shares []float64) {
		sum := 0.0
		for _, i := range at {
			sum += x.share[i]
		}
		if !(sum > 1e-9) {
			return nil
		}
		for _, i := range at {
			shares = append(shares, x.share[i]/sum)
		}
		return shares
	}
	mean := within(&o.expected)
	for k := range o.others {
		if mean == nil {
			mean = within(&o.others[k])
		}
	}
	if mean == nil {
		return nil
	}
	out := make([]Share, len(at))
	for k, i := range at {
		out[k] = Share{Form: o.forms[i], Share: mean[k], Low: mean[k], High: mean[k]}
	}
	for k := range o.others {
		for j, s := range within(&o.others[k]) {
			out[j].Low, out[j].High = min(out[j].Low, s), max(out[j].High, s)
		}
	}
	slices.SortStableFunc(out, func(a, b Share) int { return cmp.Compare(b.High, a.High) })
	out = out[:min(len(out), most)]
	for len(out) > 1 && out[len(out)-1].High < 1e-3 {
		out = out[:len(out)-1]
	}
	sum := 0.0
	for _, s := range out {
		sum += s.Share
	}
	if !(sum > 0) {
		return nil
	}
	low, high := 0.0, 0.0
	for i := range out {
		s := &out[i]
		s.Share /= sum
		s.Low, s.High = min(s.Low, s.Share), min(max(s.High, s.Share), 1)
		low, high = low+s.Low, high+s.High
	}
	if low >= 1-1e-3 || high <= 1+1e-3 || math.IsNaN(sum) {
		for i := range out {
			out[i].Low, out[i].High = 0, 0
		}
	}
	return out
}
