package scenario

import (
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
