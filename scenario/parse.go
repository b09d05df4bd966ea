package scenario

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
)

// Open opens a file that a scenario names: an application, a load or a trace.
type Open func(path string) (io.ReadCloser, error)

// Scenario is a file that was read and checked against the applications it is about.
type Scenario struct {
	name     string
	lines    []string
	commands []command
	worlds   []*world
}

// command is one line of a file, ready to be carried out.
type command struct {
	block
	world *world
	// do carries it out once its world has run, and returns what it prints. nil: the command has been carried out by
	// running the world.
	do func(r *runner) output
}

// output is what a command prints, and what it holds against the run.
type output struct {
	lines   []string
	failure []string // what did not hold, and why as far as can be told
	keep    bool     // lines belong into the file
}

// Read reads a scenario file; the files it names lie relative to it. What is wrong in it comes as appfile.Faults; a file
// that can't be read, as another error.
func Read(path string) (*Scenario, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data, func(name string) (io.ReadCloser, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		return os.Open(name)
	})
}

// Bounds on a file, and on what it may ask for.
const (
	maxBytes = 1 << 20
	maxRun   = 24 * time.Hour // of one world
)

// Parse reads a scenario's content; name is the file's name in faults, and open opens the files it names. The error is
// nil or appfile.Faults, with everything that is wrong.
func Parse(name string, data []byte, open Open) (*Scenario, error) {
	if len(data) > maxBytes || !valid(data) {
		return nil, appfile.Faults{{File: name, Line: 1, Column: 1, Message: fmt.Sprintf("is no scenario: it is no text of at most %d bytes", maxBytes)}}
	}
	p := &parser{open: open, name: name, lines: strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), variables: map[string]unit{}}
	p.next = setup{manager: managerSpec{name: "none"}}
	p.begin()
	for _, b := range p.blocks() {
		p.line = b.line
		p.command(b)
	}
	p.finish()
	if len(p.worlds) == 0 && len(p.faults) == 0 {
		p.faultAt(0, 1, "runs nothing: a scenario has an app, a load, and at least one run")
	}
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, func(a, b appfile.Fault) int { return a.Line - b.Line })
		return nil, p.faults
	}
	return &Scenario{name: name, lines: p.lines, commands: p.commands, worlds: p.worlds}, nil
}

// verb is a command's first word.
type verb struct {
	name  string
	usage string
	timed bool // may stand after "at T"
	read  func(p *parser, b *block, args []token, at *time.Duration) func(*runner) output
}

var verbs []verb

func init() { // it refers to itself through the commands' faults
	verbs = []verb{
		{"app", "app NAME | app FILE.yaml", false, (*parser).app},
		{"seed", "seed NUMBER", false, (*parser).seed},
		{"load", "load SHAPE KEY=VALUE... [then SHAPE KEY=VALUE...] | load FILE.yaml", true, (*parser).load},
		{"users", "users SHAPE KEY=VALUE... think=DURATION", true, (*parser).users},
		{"mix", "mix ENDPOINT=SHARE...", true, (*parser).mix},
		{"nodes", "nodes NUMBER KEY=VALUE... | nodes FILE.yaml", false, (*parser).nodes},
		{"manager", "manager NAME|guard(NAME)|none [SETTING=VALUE...] [baseline=NAME]", true, (*parser).manager},
		{"allocate", "allocate SERVICE [replicas=N] [cpu=CORES]", true, (*parser).allocate},
		{"fault", "fault KIND KEY=VALUE...", true, (*parser).fault},
		{"faults", "faults FILE.yaml", false, (*parser).faultFile},
		{"update", "update NAME | update FILE.yaml", true, (*parser).update},
		{"break", "break panic|error|no-model|nonsense|least for=DURATION", true, (*parser).breakManager},
		{"silence", "silence for=DURATION", true, (*parser).silence},
		{"hide", "hide SIGNAL for=DURATION", true, (*parser).hide},
		{"at", "at TIME COMMAND...", false, nil},
		{"run", "run DURATION", false, (*parser).run},
		{"restart", "restart", false, (*parser).restart},
		{"let", "let NAME = METRIC [SUBJECT] SPAN", false, (*parser).let},
		{"eval", "eval METRIC [SUBJECT] SPAN", false, (*parser).eval},
		{"expect", "expect METRIC [SUBJECT] SPAN ==|!=|<|<=|>|>=|~ VALUE", false, (*parser).expect},
		{"plot", "plot METRIC [SUBJECT][, METRIC [SUBJECT]...] over A..B [height=N] [width=N]", false, (*parser).plot},
		{"decisions", "decisions [SERVICE] over A..B [limit=N]", false, (*parser).decisions},
		{"truth", "truth over A..B", false, (*parser).truth},
	}
}

func verbNames() string {
	names := make([]string, len(verbs))
	for i, v := range verbs {
		names[i] = v.name
	}
	return strings.Join(names, ", ")
}

func findVerb(name string) *verb {
	i := slices.IndexFunc(verbs, func(v verb) bool { return v.name == name })
	if i < 0 {
		return nil
	}
	return &verbs[i]
}

// command reads one command.
func (p *parser) command(b block) {
	tokens := b.tokens
	v := findVerb(tokens[0].text)
	if v == nil {
		p.faultf(tokens[0], "%q is no command: use %s", tokens[0].text, verbNames())
		return
	}
	var at *time.Duration
	if v.name == "at" {
		if at, v = p.at(tokens); v == nil {
			return
		}
		tokens = tokens[2:]
	} else if p.started && v.timed {
		now := p.world.duration
		at = &now
		p.world.last = append(p.world.last, moment{p.line, tokens[0], now})
	}
	do := v.read(p, &b, tokens[1:], at)
	if do == nil && b.to > b.from {
		p.faultAt(b.from, 1, "is output, and %s has none", v.name)
	}
	p.commands = append(p.commands, command{block: b, world: p.world, do: do})
}

// at reads when a command is carried out.
func (p *parser) at(tokens []token) (*time.Duration, *verb) {
	if len(tokens) < 3 {
		p.faultf(p.end(tokens), "write: %s", findVerb("at").usage)
		return nil, nil
	}
	d, err := duration(tokens[1].text)
	switch {
	case err != nil:
		p.faultf(tokens[1], "%q is no time like 5m or 1m30s", tokens[1].text)
	case d%foresail.Beat != 0:
		p.faultf(tokens[1], "%s is not a whole number of beats of %s", d, foresail.Beat)
	case d < p.world.duration:
		p.faultf(tokens[1], "%s is over: %s has been run so far", clock(d), clock(p.world.duration))
	}
	v := findVerb(tokens[2].text)
	if v == nil || !v.timed {
		p.faultf(tokens[2], "%q can't be done at a time: use load, users, mix, manager, allocate, fault, update, break, silence, hide", tokens[2].text)
		return nil, nil
	}
	p.world.last = append(p.world.last, moment{p.line, tokens[1], d})
	return &d, v
}

// moment is an instant that a command names.
type moment struct {
	line  int
	token token
	at    time.Duration
}

// begin starts a new world on what was set up last.
func (p *parser) begin() {
	p.world = &world{setup: p.next.clone()}
	p.started = false
}

// finish checks the world as a whole, and closes it.
func (p *parser) finish() {
	w := p.world
	if !p.started {
		if len(w.last)+len(w.faults) > 0 {
			p.faultAt(p.line, 1, "nothing is run after this")
		}
		return
	}
	for _, m := range w.last {
		if m.at >= w.duration {
			p.faultAt(m.line, m.token.column, "%s is never reached: the runs end at %s", clock(m.at), clock(w.duration))
		}
	}
	p.schedule(w)
	p.worlds = append(p.worlds, w)
}

func (p *parser) blueprint(t token) *foresail.Blueprint {
	if p.world.setup.blueprint == nil && !p.world.setup.broken {
		p.faultf(t, "no application is known yet: begin with app NAME")
		p.world.setup.broken, p.next.broken = true, true // once is enough
	}
	return p.world.final()
}

// Run runs the scenario from its beginning; it is used by one goroutine at a time. The error is that of ctx, or of what no
// scenario can foresee; what does not hold is in the result.
func (s *Scenario) Run(ctx context.Context) (*Result, error) {
	for _, w := range s.worlds {
		w.record = nil
	}
	r := &runner{ctx: ctx, variables: map[string]value{}}
	return r.run(s)
}
