package scenario

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/plan/managers"
)

// pairs reads KEY=VALUE words; those that are none are faults.
func (p *parser) pairs(tokens []token, usage string) (out []pair) {
	for _, t := range tokens {
		key, value, ok := strings.Cut(t.text, "=")
		if !ok || key == "" || value == "" || t.quoted {
			p.faultf(t, "%q is no KEY=VALUE; write: %s", t.text, usage)
			continue
		}
		if slices.ContainsFunc(out, func(o pair) bool { return o.key == key }) {
			p.faultf(t, "%s is given twice", key)
			continue
		}
		out = append(out, pair{key, value, t})
	}
	return out
}

type pair struct {
	key, value string
	token      token
}

// one asks for exactly one word.
func (p *parser) one(args []token, what string) bool {
	if len(args) != 1 {
		p.faultf(p.end(args), "write: %s", findVerb(what).usage)
	}
	return len(args) == 1
}

// fresh tells whether a command comes before the world has run, as it must.
func (p *parser) fresh(what string) bool {
	if p.started {
		p.faultAt(p.line, 1, "%s comes before the first run, or after restart", what)
	}
	return !p.started
}

func (p *parser) app(_ *block, args []token, _ *time.Duration) func(*runner) output {
	if !p.one(args, "app") || !p.fresh("app") {
		return nil
	}
	bp, err := p.readApp(args[0].text)
	if err != nil {
		p.inner(args[0], nil, err)
		bp = nil
	}
	p.change(func(s *setup) {
		*s = setup{blueprint: bp, broken: bp == nil, seed: s.seed, manager: managerSpec{name: "none"}}
	})
	return nil
}

func (p *parser) readApp(name string) (*foresail.Blueprint, error) {
	if slices.Contains(appfile.BuiltIn(), name) {
		return appfile.ReadApp(name)
	}
	if !strings.HasSuffix(name, ".yaml") {
		return nil, fmt.Errorf("%q is no application: use a file, NAME.yaml, or one of %s", name, strings.Join(appfile.BuiltIn(), ", "))
	}
	data, err := p.readFile(name)
	if err != nil {
		return nil, err
	}
	return appfile.ParseApp(name, data)
}

func (p *parser) readFile(name string) ([]byte, error) {
	if p.open == nil {
		return nil, fmt.Errorf("%q: no files are read here", name)
	}
	f, err := p.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 16<<20))
}

// change sets up the next world, and those that are begun from it.
func (p *parser) change(f func(*setup)) {
	f(&p.world.setup)
	f(&p.next)
}

// inner tells the faults of what a command gave to another reader, each at the word that it is about where one is.
func (p *parser) inner(t token, words []pair, err error) {
	faults, ok := err.(appfile.Faults)
	if !ok {
		p.faultf(t, "%v", err)
		return
	}
	for _, f := range faults {
		at, message := t, f.Message
		parts := strings.FieldsFunc(f.Path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
		if n := len(parts); n > 0 {
			message = parts[n-1] + " " + message
			for _, w := range words {
				if w.key == parts[n-1] {
					at = w.token
				}
			}
		}
		if words == nil && f.File != "" {
			message = f.Error()
		}
		p.faultf(at, "%s", message)
	}
}

func (p *parser) seed(_ *block, args []token, _ *time.Duration) func(*runner) output {
	if !p.one(args, "seed") || !p.fresh("seed") {
		return nil
	}
	v, err := strconv.ParseUint(args[0].text, 10, 64)
	if err != nil {
		p.faultf(args[0], "%q must be a whole number, not negative", args[0].text)
	}
	p.change(func(s *setup) { s.seed = v })
	return nil
}

func (p *parser) manager(_ *block, args []token, at *time.Duration) func(*runner) output {
	if len(args) == 0 {
		p.faultf(p.end(args), "write: %s", findVerb("manager").usage)
		return nil
	}
	bp := p.blueprint(args[0])
	if bp == nil {
		return nil
	}
	m := parseManager(args[0].text)
	m.settings = map[string]float64{}
	known := managers.Params(m.name)
	for _, w := range p.pairs(args[1:], findVerb("manager").usage) {
		if w.key == "baseline" && m.guarded {
			m.baseline = w.value
			continue
		}
		v, err := number(w.value)
		if err != nil {
			p.faultf(w.token, "%s: %q must be a number", w.key, w.value)
		}
		m.settings[w.key] = v
	}
	if _, err := m.build(bp.App, 0, nil); err != nil {
		message := strings.ReplaceAll(err.Error(), "\n", "; ")
		if known == nil && !slices.Contains(managers.Names(), m.name) {
			message += ", none, or guard(NAME)"
		}
		p.faultf(args[0], "%s", message)
		return nil
	}
	if at == nil {
		p.change(func(s *setup) { s.manager = m })
		return nil
	}
	seed := p.world.setup.seed
	p.world.actions = append(p.world.actions, action{*at, func(s *stage) error {
		next, err := m.build(s.App(), seed, s)
		if err == nil {
			s.now.manager = m
			s.swap.To(next)
		}
		return err
	}})
	return nil
}

func (p *parser) allocate(_ *block, args []token, at *time.Duration) func(*runner) output {
	usage := findVerb("allocate").usage
	if len(args) < 2 {
		p.faultf(p.end(args), "write: %s", usage)
		return nil
	}
	of := p.subject(token{"service/" + args[0].text, args[0].column, false}, "an allocation", services)
	if of.kind == 0 {
		return nil
	}
	id, service := foresail.ServiceID(of.id), p.world.final().App.Services[of.id]
	set := func(a foresail.Allocation) foresail.Allocation { return a }
	for _, w := range p.pairs(args[1:], usage) {
		v, err := number(w.value)
		before := set
		switch {
		case err != nil:
			p.faultf(w.token, "%s: %q must be a number", w.key, w.value)
		case w.key == "replicas":
			set = func(a foresail.Allocation) foresail.Allocation { a = before(a); a.Replicas = int(v); return a }
		case w.key == "cpu":
			set = func(a foresail.Allocation) foresail.Allocation { a = before(a); a.CPU = v; return a }
		default:
			p.faultf(w.token, "%q is nothing to allocate; write: %s", w.key, usage)
		}
	}
	start := service.Initial
	if a, ok := p.world.setup.initial[id]; ok {
		start = a
	}
	if in, bound := service.Bounds.Clamp(set(start)); bound != "" {
		p.faultf(args[0], "is outside the bounds of %s (%s): %s is within them", service.Name, bound, in)
		return nil
	}
	if at == nil {
		p.change(func(s *setup) {
			s.initial = clone(s.initial)
			s.initial[id] = set(start)
		})
		return nil
	}
	p.world.actions = append(p.world.actions, action{*at, func(s *stage) error {
		a := s.latest[id]
		return s.Apply(context.Background(), &foresail.Plan{Manager: "scenario", Changes: []foresail.Change{{Service: id, To: set(a)}}})
	}})
	return nil
}

func clone(m map[foresail.ServiceID]foresail.Allocation) map[foresail.ServiceID]foresail.Allocation {
	out := map[foresail.ServiceID]foresail.Allocation{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// lasting reads for=DURATION.
func (p *parser) lasting(args []token, at *time.Duration, usage string) (from, to time.Duration, ok bool) {
	if at != nil {
		from = *at
	}
	words := p.pairs(args, usage)
	if len(words) != 1 || words[0].key != "for" {
		p.faultf(p.end(args), "write: %s", usage)
		return 0, 0, false
	}
	d, err := duration(words[0].value)
	if err != nil || d <= 0 || d > maxRun {
		p.faultf(words[0].token, "%q must be a duration above 0 and at most %s", words[0].value, maxRun)
		return 0, 0, false
	}
	return from, from + d, true
}

func (p *parser) breakManager(_ *block, args []token, at *time.Duration) func(*runner) output {
	usage := findVerb("break").usage
	if len(args) == 0 || breaks[args[0].text] == nil {
		p.faultf(p.end(args[:min(1, len(args))]), "write: %s", usage)
		return nil
	}
	if from, to, ok := p.lasting(args[1:], at, usage); ok {
		p.world.breaks = append(p.world.breaks, breach{from, to, args[0].text})
	}
	return nil
}

func (p *parser) silence(_ *block, args []token, at *time.Duration) func(*runner) output {
	if from, to, ok := p.lasting(args, at, findVerb("silence").usage); ok {
		p.world.hidden = append(p.world.hidden, cover{from: from, to: to, all: true})
	}
	return nil
}

func (p *parser) hide(_ *block, args []token, at *time.Duration) func(*runner) output {
	usage := findVerb("hide").usage
	if len(args) == 0 {
		p.faultf(p.end(args), "write: %s", usage)
		return nil
	}
	signal := foresail.Signals(0)
	for s := foresail.Signals(1); s < foresail.SignalsAll; s <<= 1 {
		if s.String() == args[0].text {
			signal = s
		}
	}
	if signal == 0 {
		p.faultf(args[0], "%q is no signal: use %s", args[0].text, foresail.SignalsAll)
		return nil
	}
	if from, to, ok := p.lasting(args[1:], at, usage); ok {
		p.world.hidden = append(p.world.hidden, cover{from: from, to: to, signals: signal})
	}
	return nil
}

func (p *parser) run(_ *block, args []token, _ *time.Duration) func(*runner) output {
	if !p.one(args, "run") {
		return nil
	}
	d, err := duration(args[0].text)
	switch {
	case err != nil || d <= 0 || d%time.Second != 0:
		p.faultf(args[0], "%q must be a duration of whole seconds, like 10m", args[0].text)
		return nil
	case p.world.duration+d > maxRun:
		p.faultf(args[0], "makes it longer than %s", maxRun)
		return nil
	case p.blueprint(args[0]) != nil && !p.started && p.world.setup.load == nil:
		p.faultf(args[0], "there is no load yet: say load constant 100, or load constant 0 for none")
	}
	p.world.duration += d
	p.started = true
	return nil
}

func (p *parser) restart(_ *block, args []token, _ *time.Duration) func(*runner) output {
	if len(args) > 0 {
		p.faultf(args[0], "restart stands alone")
	}
	if !p.started {
		p.faultAt(p.line, 1, "nothing has been run yet, so there is nothing to start over")
		return nil
	}
	p.finish()
	p.begin()
	return nil
}

// config is what the simulator is given.
func (w *world) config(bp *foresail.Blueprint, l *load.Load) sim.Config {
	m := &w.setup.machines
	return sim.Config{Blueprint: bp, Load: l, Seed: w.setup.seed, Duration: w.duration,
		Nodes: m.Nodes, Placement: m.Placement, Within: m.Within, Between: m.Between, Detection: m.Detection,
		Faults: w.schedule, Updates: w.updates}
}
