package scenario

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// value is a number with its unit; not a number where nothing was observed.
type value struct {
	v    float64
	unit unit
}

// String is the value for people.
func (v value) String() string { return v.unit.show(v.v) }

// value asks a world that has run.
func (r *runner) value(t *term) value {
	switch {
	case t.variable != "":
		v := r.variables[t.variable]
		v.v *= t.factor
		return v
	case t.metric == nil:
		return value{t.factor * t.constant, t.unit}
	}
	return value{t.factor * t.world.ask(t), t.unit}
}

// ask is a metric's value over its span.
func (w *world) ask(t *term) float64 {
	switch {
	case t.first != nil:
		for i, v := range w.series(t) {
			if holds(t.first.op, v, t.first.value, 0) {
				return (t.span.from + time.Duration(i+1)*time.Second).Seconds()
			}
		}
		return math.NaN()
	case t.pick != "":
		return pick(t.pick, w.series(t))
	case t.metric.how == meaned:
		return pick("mean", w.series(t))
	case t.metric.how == judged || t.metric.how == decided:
		return w.counted(t, t.span)
	}
	v, ok := t.metric.value(w.record.merged(t.span), t.of)
	if !ok {
		return math.NaN()
	}
	return v
}

// series is the metric's value of each second of the span; not a number where there is none.
func (w *world) series(t *term) []float64 {
	var out []float64
	for at := t.span.from; at < t.span.to; at += time.Second {
		v, ok := math.NaN(), false
		if t.metric.value == nil {
			v, ok = w.counted(t, span{at, at + time.Second}), true
		} else if i := int(at / time.Second); i < len(w.record.seconds) {
			v, ok = t.metric.value(w.record.seconds[i], t.of)
		}
		if !ok {
			v = math.NaN()
		}
		out = append(out, v)
	}
	return out
}

// counted is of windows, episodes or decisions.
func (w *world) counted(t *term, s span) (n float64) {
	r := w.record
	if t.metric.how == decided {
		for i := range r.decisions {
			if d := &r.decisions[i]; d.at > s.from && d.at <= s.to {
				n += t.metric.decisions(d, t.of)
			}
		}
		return n
	}
	if t.metric.name == "episodes" {
		for e, all := range r.episodes {
			for _, at := range all {
				if (t.of.kind == 0 || e == t.of.id) && at >= s.from && at < s.to {
					n++
				}
			}
		}
		return n
	}
	var in []window
	for e, all := range r.windows {
		for _, win := range all {
			at := win.End.Sub(r.start)
			if (t.of.kind == 0 || e == t.of.id) && at > s.from && at <= s.to {
				in = append(in, win)
			}
		}
	}
	return t.metric.windows(in)
}

// pick chooses from values; those that were not observed don't count.
func pick(how string, values []float64) float64 {
	seen := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(seen) == 0 {
		return math.NaN()
	}
	switch how {
	case "min":
		return slices.Min(seen)
	case "max":
		return slices.Max(seen)
	case "last":
		return seen[len(seen)-1]
	}
	total := 0.0
	for _, v := range seen {
		total += v
	}
	return total / float64(len(seen))
}

// holds compares; nothing holds of what was not observed.
func holds(op string, a, b, within float64) bool {
	if math.IsNaN(a) || math.IsNaN(b) {
		return false
	}
	near := math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b))
	switch op {
	case "==":
		return near
	case "!=":
		return !near
	case "<":
		return a < b && !near
	case "<=":
		return a < b || near
	case ">":
		return a > b && !near
	case ">=":
		return a > b || near
	case "~":
		return math.Abs(a-b) <= within*math.Abs(b)
	}
	panic(fmt.Sprintf("scenario: no comparison is written %q", op))
}
