package scenario

import (
	"fmt"
	"strings"
	"time"
)

// span is (from, to], the seconds that end within it.
type span struct{ from, to time.Duration }

func (s span) String() string {
	if s.to-s.from == time.Second {
		return "at " + clock(s.to)
	}
	return fmt.Sprintf("over %s..%s", clock(s.from), clock(s.to))
}

// term is one side of a comparison.
type term struct {
	factor   float64 // what the rest is multiplied by
	constant float64 // where there is neither variable nor metric
	variable string
	metric   *metric
	of       subject
	span     span
	pick     string // min, max or last of each second's value; empty: the metric's own way
	first    *condition
	unit     unit
	world    *world
}

// condition is what a first waits for.
type condition struct {
	op    string
	value float64
}

// String is the term as a person would write it.
func (t *term) String() string {
	if t.metric == nil {
		return t.variable
	}
	var b strings.Builder
	if t.factor != 1 {
		b.WriteString(digits(t.factor) + " * ")
	}
	if t.pick != "" {
		b.WriteString(t.pick + " ")
	}
	b.WriteString(t.title())
	if t.first != nil {
		b.WriteString(" " + t.first.op + " " + t.metric.unit.show(t.first.value))
	}
	return b.String() + " " + t.span.String()
}

// title is the metric and what it is of.
func (t *term) title() string { return strings.TrimSpace(t.metric.name + " " + t.of.name) }

var comparisons = []string{"==", "!=", "<=", ">=", "<", ">", "~"}

func isComparison(text string) bool {
	for _, c := range comparisons {
		if c == text {
			return true
		}
	}
	return false
}

// term reads a variable, a metric with its subject and span, or (like tells the unit) a literal, each multiplied by a
// number or not. It returns what is left.
func (p *parser) term(tokens []token, like *unit) (*term, []token) {
	if len(tokens) == 0 {
		p.faultf(p.end(tokens), "something to look at is missing: a metric (%s) or the name of a let", metricNames())
		return nil, nil
	}
	t := &term{factor: 1, world: p.world}
	if len(tokens) > 2 && tokens[1].text == "*" && literal(tokens[0].text) {
		v, err := number(tokens[0].text)
		if err != nil {
			p.faultf(tokens[0], "%q must be a number", tokens[0].text)
			return nil, nil
		}
		t.factor = v
		tokens = tokens[2:]
	}
	head := tokens[0]
	if unit, ok := p.variables[head.text]; ok {
		t.variable, t.unit = head.text, unit
		return t, tokens[1:]
	}
	if like != nil && literal(head.text) {
		v, err := like.read(head.text)
		if err != nil {
			p.faultf(head, "%v", err)
		}
		t.constant, t.unit = v, *like
		return t, tokens[1:]
	}
	return p.measure(t, tokens)
}

// measure reads a metric with its subject and span.
func (p *parser) measure(t *term, tokens []token) (*term, []token) {
	waits := false
	switch tokens[0].text {
	case "min", "max", "last":
		t.pick = tokens[0].text
		tokens = tokens[1:]
	case "first":
		waits = true
		tokens = tokens[1:]
	}
	if len(tokens) == 0 {
		p.faultf(p.end(tokens), "a metric is missing: %s", metricNames())
		return nil, nil
	}
	m, ok := findMetric(tokens[0].text)
	if !ok {
		p.faultf(tokens[0], "%q is no metric and no name of a let: use %s", tokens[0].text, metricNames())
		return nil, nil
	}
	t.metric, t.unit = m, m.unit
	tokens = tokens[1:]
	if len(tokens) > 0 && tokens[0].text != "over" && tokens[0].text != "at" && !isComparison(tokens[0].text) && tokens[0].text != "," {
		t.of = p.subject(tokens[0], m.name, m.on)
		tokens = tokens[1:]
	}
	if waits {
		if len(tokens) < 2 || !isComparison(tokens[0].text) || tokens[0].text == "~" {
			p.faultf(p.end(tokens[:min(1, len(tokens))]), "first needs what to wait for, like: first replicas search >= 4 over 0s..5m")
			return nil, nil
		}
		v, err := m.unit.read(tokens[1].text)
		if err != nil {
			p.faultf(tokens[1], "%v", err)
		}
		t.first, t.unit = &condition{tokens[0].text, v}, offset
		tokens = tokens[2:]
	}
	var ok2 bool
	t.span, tokens, ok2 = p.span(tokens)
	if !ok2 {
		return nil, nil
	}
	return t, tokens
}

// subject is an endpoint or a service; where both have the name, service/NAME is the service.
func (p *parser) subject(t token, metric string, on scope) subject {
	bp := p.blueprint(t)
	if bp == nil {
		return subject{}
	}
	name, asService := strings.CutPrefix(t.text, "service/")
	name, asEndpoint := strings.CutPrefix(name, "endpoint/")
	var known []string
	if on&endpoints != 0 && !asService {
		if id, ok := bp.App.EndpointByName(name); ok {
			return subject{endpoints, int(id), t.text}
		}
		for _, e := range bp.App.Endpoints {
			known = append(known, e.Name)
		}
	}
	if on&services != 0 && !asEndpoint {
		if id, ok := bp.App.ServiceByName(name); ok {
			return subject{services, int(id), t.text}
		}
		for _, s := range bp.App.Services {
			known = append(known, s.Name)
		}
	}
	if on == 0 {
		p.faultf(t, "%q: %s is of the whole application, so write over or at next", t.text, metric)
		return subject{}
	}
	p.faultf(t, "%q is nothing that has %s: use %s", t.text, metric, strings.Join(known, ", "))
	return subject{}
}

// span reads "over A..B", "over all" or "at T", all of what has been run.
func (p *parser) span(tokens []token) (s span, rest []token, ok bool) {
	if len(tokens) < 2 || tokens[0].text != "over" && tokens[0].text != "at" {
		p.faultf(p.end(tokens[:min(1, len(tokens))]), "when is missing: over 5m..6m, over all, or at 8m")
		return s, nil, false
	}
	now := p.world.duration
	t := tokens[1]
	var from, to string
	switch {
	case tokens[0].text == "at":
		to = t.text
	case t.text == "all":
		if now == 0 {
			p.faultf(t, "nothing has been run yet")
		}
		return span{0, now}, tokens[2:], now > 0
	default:
		var two bool
		if from, to, two = strings.Cut(t.text, ".."); !two {
			p.faultf(t, "%q is no span: write it like 5m..6m", t.text)
			return s, nil, false
		}
	}
	if s.to, ok = p.instant(t, to, now); !ok {
		return s, nil, false
	}
	s.from = s.to - time.Second
	if tokens[0].text == "over" {
		if s.from, ok = p.instant(t, from, now); !ok {
			return s, nil, false
		}
	}
	switch {
	case s.to > now:
		p.faultf(t, "%s is in the future: %s has been run so far", clock(s.to), clock(now))
	case s.from < 0 || s.from >= s.to:
		p.faultf(t, "%q holds no time", t.text)
	case s.from%time.Second != 0 || s.to%time.Second != 0:
		p.faultf(t, "%q: times are whole seconds", t.text)
	default:
		return s, tokens[2:], true
	}
	return s, nil, false
}

// instant is a duration, or "end" for now.
func (p *parser) instant(t token, text string, now time.Duration) (time.Duration, bool) {
	if text == "end" {
		return now, true
	}
	d, err := duration(text)
	if err != nil {
		p.faultf(t, "%q is no time like 5m or 1m30s", text)
	}
	return d, err == nil
}
