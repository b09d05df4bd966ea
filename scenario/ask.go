package scenario

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// only asks that nothing is left.
func (p *parser) only(rest []token) {
	if len(rest) > 0 {
		p.faultf(rest[0], "%q is more than is asked for here", rest[0].text)
	}
}

// nameOf is what a let may be called, and reserved what it may not.
var (
	nameOf   = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	reserved = []string{"min", "max", "last", "first", "reason", "fallback", "note", "failure", "over", "at", "within", "contains", "lacks"}
)

func (p *parser) let(_ *block, args []token, _ *time.Duration) func(*runner) output {
	if len(args) < 3 || args[1].text != "=" {
		p.faultf(p.end(args), "write: %s", findVerb("let").usage)
		return nil
	}
	name := args[0].text
	if _, taken := findMetric(name); taken || !nameOf.MatchString(name) || slices.Contains(reserved, name) {
		p.faultf(args[0], "%q can't be a name: use small letters, digits and -, and no word of the language", name)
		return nil
	}
	t, rest := p.term(args[2:], nil)
	if t == nil {
		return nil
	}
	p.only(rest)
	p.variables[name] = t.unit
	return func(r *runner) output {
		v := r.value(t)
		r.variables[name] = v
		return output{lines: []string{name + " = " + v.String()}}
	}
}

func (p *parser) eval(b *block, args []token, _ *time.Duration) func(*runner) output {
	t, rest := p.term(args, nil)
	if t == nil {
		return nil
	}
	p.only(rest)
	return func(r *runner) output { return r.golden(b, []string{r.value(t).String()}) }
}

// expect reads "expect TERM OP TERM [within SHARE]" or "expect TEXT [SERVICE] SPAN contains|lacks "TEXT"".
func (p *parser) expect(b *block, args []token, _ *time.Duration) func(*runner) output {
	for i := range texts {
		if len(args) > 0 && args[0].text == texts[i].name {
			return p.expectText(i, args)
		}
	}
	left, rest := p.term(args, nil)
	if left == nil {
		return nil
	}
	if len(rest) == 0 || !isComparison(rest[0].text) {
		p.faultf(p.end(rest[:min(1, len(rest))]), "what %s should be is missing: use %s and a value", left, strings.Join(comparisons, ", "))
		return nil
	}
	op := rest[0]
	right, rest := p.term(rest[1:], &left.unit)
	if right == nil {
		return nil
	}
	if !alike(left.unit, right.unit) {
		p.faultf(op, "%s is %s and %s is %s: they can't be compared", left, unitHints[left.unit], right, unitHints[right.unit])
	}
	within := 0.0
	if op.text == "~" {
		within = 0.1
	}
	if len(rest) == 2 && rest[0].text == "within" && op.text == "~" {
		v, err := share.read(rest[1].text)
		if err != nil || v <= 0 {
			p.faultf(rest[1], "%q must be a share above 0, like 5%%", rest[1].text)
		}
		within, rest = v, nil
	}
	p.only(rest)
	return func(r *runner) output { return r.expect(left, right, op.text, within) }
}

func (p *parser) expectText(i int, args []token) func(*runner) output {
	rest, of := args[1:], subject{}
	if texts[i].on != 0 && len(rest) > 0 && rest[0].text != "over" && rest[0].text != "at" {
		of = p.subject(rest[0], texts[i].name, services)
		rest = rest[1:]
	}
	s, rest, ok := p.span(rest)
	if !ok {
		return nil
	}
	if len(rest) != 2 || rest[0].text != "contains" && rest[0].text != "lacks" || !rest[1].quoted {
		p.faultf(p.end(rest[:min(1, len(rest))]), `write: expect %s SPAN contains|lacks "TEXT"`, texts[i].name)
		return nil
	}
	w, want, has := p.world, rest[1].text, rest[0].text == "contains"
	return func(r *runner) output { return r.expectText(w, i, of, s, want, has) }
}

// plot reads one or more metrics and the span they share.
func (p *parser) plot(b *block, args []token, _ *time.Duration) func(*runner) output {
	width, height := 64, 8
	for len(args) > 0 {
		last := args[len(args)-1]
		key, value, ok := strings.Cut(last.text, "=")
		if !ok || key != "width" && key != "height" {
			break
		}
		v, err := strconv.Atoi(value)
		if err != nil || v < 3 || v > 200 {
			p.faultf(last, "%s must be a whole number within 3..200", key)
		} else if key == "width" {
			width = v
		} else {
			height = v
		}
		args = args[:len(args)-1]
	}
	if len(args) < 2 {
		p.faultf(p.end(args), "write: %s", findVerb("plot").usage)
		return nil
	}
	s, rest, ok := p.span(args[len(args)-2:])
	if !ok {
		return nil
	}
	p.only(rest)
	if args = args[:len(args)-2]; len(args) == 0 {
		p.faultAt(p.line, 1, "write: %s", findVerb("plot").usage)
		return nil
	}
	var all []*term
	for len(args) > 0 {
		n := slices.IndexFunc(args, func(t token) bool { return t.text == "," })
		if n < 0 {
			n = len(args)
		}
		if t := p.plotted(args[:n]); t != nil {
			t.span = s
			all = append(all, t)
		}
		args = args[min(n+1, len(args)):]
	}
	if len(all) == 0 {
		return nil
	}
	return func(r *runner) output {
		var lines []string
		for _, t := range all {
			lines = append(lines, r.plot(t, width, height)...)
		}
		return r.golden(b, lines)
	}
}

// plotted reads a metric with its subject, and no span.
func (p *parser) plotted(args []token) *term {
	if len(args) == 0 {
		p.faultAt(p.line, 1, "write: %s", findVerb("plot").usage)
		return nil
	}
	m, ok := findMetric(args[0].text)
	if !ok {
		p.faultf(args[0], "%q is no metric: use %s", args[0].text, metricNames())
		return nil
	}
	t := &term{factor: 1, metric: m, unit: m.unit, world: p.world}
	if len(args) > 1 {
		t.of = p.subject(args[1], m.name, m.on)
		p.only(args[2:])
	}
	return t
}

func (p *parser) decisions(b *block, args []token, _ *time.Duration) func(*runner) output {
	limit := 20
	if n := len(args); n > 0 && strings.HasPrefix(args[n-1].text, "limit=") {
		v, err := strconv.Atoi(strings.TrimPrefix(args[n-1].text, "limit="))
		if err != nil || v < 1 || v > 1000 {
			p.faultf(args[n-1], "limit must be a whole number within 1..1000")
		}
		limit, args = v, args[:n-1]
	}
	of := subject{}
	if len(args) > 0 && args[0].text != "over" && args[0].text != "at" {
		of = p.subject(args[0], "decisions", services)
		args = args[1:]
	}
	s, rest, ok := p.span(args)
	if !ok {
		return nil
	}
	p.only(rest)
	w := p.world
	return func(r *runner) output { return r.golden(b, w.told(of, s, limit)) }
}

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
