package sinan

import (
	"fmt"
	"math"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/plan"
)

// decision is one Decide on its way.
type decision struct {
	m       *Manager
	o       *observation
	draft   *plan.Draft
	list    []candidate
	p       []tail.Prediction // nil: the model was not asked
	limits  limits
	why     []string // what kept something from being lowered or held
	outside bool     // what there is now is outside what the model was trained on
	asked   int      // how often the model was asked whether a candidate lies outside
}

// refuse notes that nothing may be lowered; told: a person should know, whatever is decided.
func (d *decision) refuse(l *limits, why string, told bool) {
	l.lower = false
	d.why = append(d.why, why)
	if told {
		d.draft.Note(why)
	}
}

// tries is how many candidates the model is asked about before nothing is lowered: a model that finds the cheapest twenty
// outside of what it knows knows nothing of what is cheap.
const tries = 20

// inside reports whether the model was trained on the like of a candidate; where it knows nothing of what there is either,
// careful's bounds must do.
func (d *decision) inside(c *candidate) bool {
	if d.outside {
		return true
	}
	d.asked++
	return d.asked <= tries && len(d.m.model.Outside(d.o.steps, c.cores)) == 0
}

// decided takes the candidate that was chosen and says why.
func (d *decision) decided(i int) {
	c, p := &d.list[i], &d.p[i]
	safe := d.limits.fits(c.kind, p)
	rule := ""
	switch c.kind {
	case hold:
		rule = "sinan/hold"
	case down, back:
		rule = "sinan/lower"
	case up:
		rule = "sinan/raise"
	case most:
		rule = "sinan/most"
	}
	text := ""
	if safe {
		text = fmt.Sprintf("%s (%.2f cores in all): %s, below %.0f ms and %s; as it is (%.2f cores): %s",
			c.name(d.o.app), c.total, d.says(p), d.limits.latency, d.probability(c.kind), d.list[0].total, d.says(&d.p[0]))
	} else {
		text = fmt.Sprintf("no candidate is safe: %s (%.2f cores in all) is left, %s; as it is (%.2f cores): %s",
			c.name(d.o.app), c.total, d.says(p), d.list[0].total, d.says(&d.p[0]))
	}
	d.take(i, rule, text)
	d.foresee(p)
	if e := d.m.state.Expected; e != nil {
		e.Safe, e.Latency = safe, p.Latency[d.limits.percentile]
		if math.IsNaN(e.Latency) || math.IsInf(e.Latency, 0) {
			e.Latency, e.Safe = 0, false
		}
	}
}

func (d *decision) probability(k kind) string {
	if k == down {
		return fmt.Sprintf("at most %g", d.limits.down)
	}
	return fmt.Sprintf("%g", d.limits.up)
}

// says is a prediction for people.
func (d *decision) says(p *tail.Prediction) string {
	return fmt.Sprintf("%s %.0f ms, a violation with probability %.3f", percentile(d.limits.percentile), p.Latency[d.limits.percentile], p.Violation)
}

// take asks for a candidate and remembers that it did.
func (d *decision) take(i int, rule, text string) {
	c, s := &d.list[i], &d.m.state
	var lowered []foresail.ServiceID
	var considered []string
	var bound string
	told := false
	forced := d.p == nil
	for k := range d.o.app.Services {
		id, svc, mine := foresail.ServiceID(k), &d.o.app.Services[k], &s.Services[k]
		from := d.o.from[k]
		mine.Asked = 0
		if d.o.now.grids[k].most == 0 || same(c.cores[k], from.Cores()) {
			continue
		}
		to, moved := spread(svc.Bounds, from, c.cores[k])
		if to.Equal(from) {
			continue
		}
		if !told {
			told = true
			bound, considered = d.considered(i)
		}
		r := foresail.Reason{Rule: rule, Text: text, Bound: bound, Considered: considered}
		if f := d.o.now.floor[k]; c.kind != most && f > 0 && same(c.cores[k], f) {
			r.Rule = "sinan/utilisation"
			r.Text = fmt.Sprintf("it uses %.0f %% of its %.2f cores, over %.0f %%, which every candidate raises; %s", d.o.now.used[k]*100, d.o.have[k], d.m.c.Utilisation*100, text)
			r.Bound = "utilisation cap"
		}
		if moved != "" {
			r.Bound = strings.TrimPrefix(r.Bound+", "+moved, ", ")
		}
		d.draft.Set(id, svc, from, to, r)
		mine.Asked, mine.Before = to.Cores(), d.o.have[k]
		if to.Cores() < from.Cores() {
			lowered = append(lowered, id)
			if d.o.now.busy[k] > d.m.c.Tight*to.Cores() {
				s.Tightened = d.o.at
			}
		}
	}
	s.Expected = nil
	if !forced {
		s.Expected = &expected{Cores: append([]float64(nil), c.cores...)}
	}
	s.acted(lowered)
	if !forced && len(lowered) > 0 {
		s.Before = nil
	}
}

// considered says what was binding, and what else was weighed: how many, and what is next to the one that was taken.
func (d *decision) considered(i int) (bound string, out []string) {
	if d.p == nil {
		return "", []string{"nothing: the model is not asked now"}
	}
	c := &d.list[i]
	out = append(out, fmt.Sprintf("%d candidates", len(d.list)))
	next := -1
	for k := range d.list {
		if k != i && d.list[k].kind != most && d.list[k].total < c.total-rounding && (next < 0 || before(d.list, d.p, &d.limits, next, k)) {
			next = k
		}
	}
	if next >= 0 {
		e := &d.list[next]
		ok, why := d.limits.safe(e.kind, &d.p[next])
		switch {
		case ok && (e.kind == down || e.kind == back) && !d.limits.lower || ok && e.kind == hold && !d.limits.hold:
			why, bound = strings.Join(d.why, "; "), "no lowering"
		case ok:
			why, bound = "outside what the model was trained on", "training data"
		case !(d.p[next].Latency[d.limits.percentile] < d.limits.latency):
			bound = "predicted latency"
		default:
			bound = "probability of a violation"
		}
		out = append(out, fmt.Sprintf("the next cheapest, %s (%.2f cores): %s", e.name(d.o.app), e.total, why))
	} else if c.kind == down || c.kind == back {
		bound = "least candidate"
	}
	if c.kind == up || c.kind == most {
		if ok, why := d.limits.safe(hold, &d.p[0]); !ok {
			out = append(out, "as it is: "+why)
		}
	}
	if d.o.close != "" {
		out = append(out, fmt.Sprintf("lowering anything to where it would use more than %.0f %% of its cores: %s", d.m.c.Tight*100, d.o.close))
	}
	return bound, append(out, d.why...)
}

// boosted names what missed its objective, where it still does.
func (d *decision) boosted() string {
	if d.o.violated != "" {
		return d.o.violated
	}
	return "an objective at " + d.m.state.Boost.Add(-d.m.c.Boost).UTC().Format(time.TimeOnly)
}

// join lists a few of what there is.
func join(list []string) string {
	const most = 3
	s := strings.Join(list[:min(len(list), most)], ", ")
	if n := len(list) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}
