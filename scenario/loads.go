package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/load"
)

func (p *parser) load(_ *block, args []token, at *time.Duration) func(*runner) output {
	p.readLoad("load", "", args, at)
	return nil
}

func (p *parser) users(_ *block, args []token, at *time.Duration) func(*runner) output {
	think := "0s"
	i := slices.IndexFunc(args, func(t token) bool { return strings.HasPrefix(t.text, "think=") })
	if i >= 0 {
		think = strings.TrimPrefix(args[i].text, "think=")
		args = slices.Delete(slices.Clone(args), i, i+1)
	}
	p.readLoad("users", "mode: closed\nthink: "+strconv.Quote(think)+"\n", args, at)
	return nil
}

// readLoad writes what the command says as a load file and has that read, so that shapes and their fields are the same.
func (p *parser) readLoad(name, head string, args []token, at *time.Duration) {
	usage := findVerb(name).usage
	if len(args) == 0 {
		p.faultf(p.end(args), "write: %s", usage)
		return
	}
	bp := p.blueprint(args[0])
	if bp == nil {
		return
	}
	var l *load.Load
	var err error
	var words []pair
	if len(args) == 1 && strings.HasSuffix(args[0].text, ".yaml") && head == "" {
		var data []byte
		if data, err = p.readFile(args[0].text); err == nil {
			l, err = appfile.ParseLoad(args[0].text, data, bp.App, p.open)
		}
	} else {
		var b strings.Builder
		b.WriteString("load: scenario\n" + head + "curve:\n")
		if last := args[len(args)-1]; last.text == "then" {
			p.faultf(p.end(nil), "a shape is missing after then")
		}
		words = []pair{}
		for i := 0; i < len(args); {
			n := slices.IndexFunc(args[i:], func(t token) bool { return t.text == "then" })
			if n < 0 {
				n = len(args) - i
			}
			words = append(words, p.segment(&b, args[i:i+n], usage)...)
			i += n + 1
		}
		l, err = appfile.ParseLoad("load", []byte(b.String()), bp.App, p.open)
	}
	if err != nil {
		p.inner(args[0], words, err)
		return
	}
	p.loads(at, func(s *setup) { s.load = l })
}

// segment writes "constant 300 for=5m" as a segment of a curve.
func (p *parser) segment(b *strings.Builder, args []token, usage string) []pair {
	if len(args) == 0 {
		p.faultf(p.end(args), "a shape is missing; write: %s", usage)
		return nil
	}
	shape, rest := args[0], args[1:]
	fmt.Fprintf(b, "  - %s: {", strconv.Quote(shape.text))
	if len(rest) > 0 && literal(rest[0].text) {
		fmt.Fprintf(b, "level: %s, ", strconv.Quote(rest[0].text))
		rest = rest[1:]
	}
	words := p.pairs(rest, usage)
	for _, w := range words {
		fmt.Fprintf(b, "%s: %s, ", strconv.Quote(w.key), strconv.Quote(w.value))
	}
	b.WriteString("}\n")
	return append(words, pair{key: shape.text, token: shape})
}

// loads changes the load from the start, or at a time.
func (p *parser) loads(at *time.Duration, f func(*setup)) {
	if at == nil {
		p.change(f)
		return
	}
	w := p.world
	w.actions = append(w.actions, action{*at, func(s *stage) error {
		f(&s.now)
		s.SetLoad(s.now.effective())
		return nil
	}})
}

func (p *parser) mix(_ *block, args []token, at *time.Duration) func(*runner) output {
	if len(args) == 0 {
		p.faultf(p.end(args), "write: %s", findVerb("mix").usage)
		return nil
	}
	bp := p.blueprint(args[0])
	if bp == nil {
		return nil
	}
	words := p.pairs(args, findVerb("mix").usage)
	var b strings.Builder
	b.WriteString("load: scenario\ncurve: [constant: 1]\nmix: {")
	for _, w := range words {
		fmt.Fprintf(&b, "%s: %s, ", strconv.Quote(w.key), strconv.Quote(w.value))
	}
	l, err := appfile.ParseLoad("mix", []byte(b.String()+"}\n"), bp.App, nil)
	if err != nil {
		p.inner(args[0], words, err)
		return nil
	}
	p.loads(at, func(s *setup) { s.mix = l.Mix })
	return nil
}
