package drift

import (
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
)

// Of the test of releases: what a call of a service costs in CPU in the newest minutes, against earlier minutes of the
// same run in which it had about as many calls. It does not need to know what the model was trained on.
const (
	fresh    = 3                // minutes that are looked at
	kept     = 60               // minutes that are remembered
	enough   = 5                // of those, that must be comparable
	alike    = 1.3              // arrivals up to so many times more or less are comparable
	jump     = 1.2              // the least ratio that is a finding
	shown    = 30 * time.Minute // how long one is told
	together = 0.75             // of all services that can be judged, that a machine's change shows in
)

// release tests whether calls cost what they did.
type release struct {
	app   *foresail.App
	of    []costs
	found []Finding
}

// costs are a service's minutes, oldest first.
type costs struct {
	cost, calls []float64 // ms of CPU per call, and calls per request times requests/s
}

func newRelease(app *foresail.App) release {
	return release{app: app, of: make([]costs, len(app.Services))}
}

func (r *release) add(cell time.Time, values []value) {
	var rate float64
	calls := map[foresail.ServiceID]float64{}
	for _, v := range values {
		switch v.quantity {
		case Rate:
			rate = v.value
		case Calls:
			calls[v.service] = v.value
		}
	}
	for _, v := range values {
		if n, ok := calls[v.service]; ok && v.quantity == Cost {
			o := &r.of[v.service]
			o.cost, o.calls = push(o.cost, v.value), push(o.calls, n*rate)
		}
	}
	r.judge(cell)
}

func push(v []float64, x float64) []float64 {
	if len(v) == kept {
		copy(v, v[1:])
		v = v[:kept-1]
	}
	return append(v, x)
}

// judge looks for a jump at the newest minutes.
func (r *release) judge(cell time.Time) {
	type change struct {
		service    foresail.ServiceID
		ratio      float64
		was, is, z float64
	}
	var judged, up, down int
	var all []change
	for i := range r.of {
		was, is, noise, ok := r.of[i].compare()
		if !ok {
			continue
		}
		judged++
		ratio := is / was
		switch {
		case ratio > math.Sqrt(jump):
			up++
		case ratio < 1/math.Sqrt(jump):
			down++
		}
		if z := math.Abs(math.Log(ratio)) / max(math.Log(jump), 6*noise); z >= 1 {
			all = append(all, change{foresail.ServiceID(i), ratio, was, is, z})
		}
	}
	if len(all) == 0 {
		return
	}
	since := cell.Add(-(fresh - 1) * time.Minute)
	if most := max(up, down); judged >= 4 && float64(most) >= together*float64(judged) {
		var ratios []float64
		z := 0.0
		for _, c := range all {
			ratios, z = append(ratios, c.ratio), max(z, c.z)
		}
		slices.Sort(ratios)
		m := ratios[len(ratios)/2]
		r.tell(Finding{Kind: Machine, What: r.app.Name, Quantity: Cost, Value: m, Expected: 1, Score: z, Since: since,
			Text: fmt.Sprintf("calls of %d of %d services cost another CPU time than before, %.2f times as much in the middle: the machine has changed", most, judged, m)})
		for i := range r.of {
			r.of[i] = costs{}
		}
		return
	}
	for _, c := range all {
		name := r.app.Services[c.service].Name
		r.tell(Finding{Kind: Release, What: name, Quantity: Cost, Value: c.is, Expected: c.was, Score: c.z, Since: since,
			Text: fmt.Sprintf("%s: a call costs %.3g ms of CPU, and cost %.3g ms: it was released anew, or its work has changed", name, c.is, c.was)})
		r.of[c.service] = costs{} // what is usual is learnt anew
	}
}

// tell adds a finding, in place of one of the same.
func (r *release) tell(f Finding) {
	r.found = slices.DeleteFunc(r.found, func(g Finding) bool { return g.Kind == f.Kind && g.What == f.What })
	r.found = append(r.found, f)
}

// forget drops what was told for long enough.
func (r *release) forget(now time.Time) {
	r.found = slices.DeleteFunc(r.found, func(g Finding) bool { return now.Sub(g.Since) > shown })
}

// compare returns what a call costs now and cost before, and the noise of minutes before: their median absolute deviation,
// as a share. ok is false where nothing can be compared.
func (o *costs) compare() (was, is, noise float64, ok bool) {
	n := len(o.cost)
	if n < fresh+enough {
		return 0, 0, 0, false
	}
	var calls float64
	for i := n - fresh; i < n; i++ {
		is += o.cost[i] / fresh
		calls += o.calls[i] / fresh
	}
	var before []float64
	for i := range n - fresh {
		if o.calls[i] <= calls*alike && o.calls[i]*alike >= calls {
			before = append(before, o.cost[i])
		}
	}
	if len(before) < enough || !(is > 0) {
		return 0, 0, 0, false
	}
	was = median(before)
	if !(was > 0) {
		return 0, 0, 0, false
	}
	for i := range before {
		before[i] = math.Abs(before[i]/was - 1)
	}
	return was, is, median(before), true
}

// median sorts v.
func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
