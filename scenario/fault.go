package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/fault"
)

// faultLine is a fault as a scenario says it; it is checked when the whole world is known.
type faultLine struct {
	line  int
	words []pair
	token token
	yaml  string
}

// fault reads "fault gc-pause service=search for=1m length=200ms period=2s", with the fields of fault files.
func (p *parser) fault(_ *block, args []token, at *time.Duration) func(*runner) output {
	usage := findVerb("fault").usage
	if len(args) == 0 {
		p.faultf(p.end(args), "write: %s; the kinds are %s", usage, strings.Join(fault.Names(), ", "))
		return nil
	}
	words := p.pairs(args[1:], usage)
	var b strings.Builder
	fmt.Fprintf(&b, "  - {kind: %s, ", strconv.Quote(args[0].text))
	from := time.Duration(0)
	if at != nil {
		from = *at
	}
	for _, w := range words {
		if w.key == "at" {
			p.faultf(w.token, "write: at TIME fault ...")
			return nil
		}
		fmt.Fprintf(&b, "%s: %s, ", strconv.Quote(w.key), strconv.Quote(w.value))
	}
	fmt.Fprintf(&b, "at: %dms}\n", from.Milliseconds())
	words = append(words, pair{key: "kind", token: args[0]})
	p.world.faults = append(p.world.faults, faultLine{p.line, words, args[0], b.String()})
	return nil
}

// faultFile reads a whole schedule, random faults included.
func (p *parser) faultFile(_ *block, args []token, _ *time.Duration) func(*runner) output {
	if !p.one(args, "faults") || !p.fresh("faults") {
		return nil
	}
	data, err := p.readFile(args[0].text)
	if err != nil {
		p.faultf(args[0], "%v", err)
		return nil
	}
	p.world.schedules = append(p.world.schedules, scheduleFile{p.line, args[0], data})
	return nil
}

type scheduleFile struct {
	line  int
	token token
	data  []byte
}

// schedule checks all faults of a world against it, and puts them together.
func (p *parser) schedule(w *world) {
	if w.setup.blueprint == nil {
		return
	}
	cfg := w.config(w.setup.blueprint, nil)
	in := cfg.World()
	all := &fault.Schedule{Name: "scenario"}
	if len(w.faults) > 0 {
		var b strings.Builder
		b.WriteString("faults: scenario\nfixed:\n")
		for _, f := range w.faults {
			b.WriteString(f.yaml)
		}
		s, err := appfile.ParseFaults("fault", []byte(b.String()), in)
		p.misfits(w, err)
		if s != nil {
			all.Fixed = s.Fixed
		}
	}
	for _, f := range w.schedules {
		s, err := appfile.ParseFaults(f.token.text, f.data, in)
		if p.line = f.line; err != nil {
			p.inner(f.token, nil, err)
			continue
		}
		all.Fixed = append(all.Fixed, s.Fixed...)
		all.Random = append(all.Random, s.Random...)
	}
	var problems fault.Problems
	if errors.As(all.CheckIn(in).Err(), &problems) && len(w.schedules) > 0 { // between a file and what is said here
		p.faultf(w.schedules[0].token, "%s", strings.ReplaceAll(problems.Error(), "\n", "; "))
	}
	w.schedule = all
}

// misfits tells each fault at the line that it is of: that many lines below the two of the heading.
func (p *parser) misfits(w *world, err error) {
	var faults appfile.Faults
	if !errors.As(err, &faults) {
		return
	}
	for _, f := range faults {
		i := min(max(f.Line-3, 0), len(w.faults)-1)
		p.line = w.faults[i].line
		p.inner(w.faults[i].token, w.faults[i].words, appfile.Faults{f})
	}
}

// update reads "update FILE.yaml": what the application becomes.
func (p *parser) update(_ *block, args []token, at *time.Duration) func(*runner) output {
	if !p.one(args, "update") {
		return nil
	}
	old := p.blueprint(args[0])
	if old == nil {
		return nil
	}
	bp, err := p.readApp(args[0].text)
	if err != nil {
		p.inner(args[0], nil, err)
		return nil
	}
	if at == nil || *at == 0 {
		p.faultf(args[0], "an update comes in mid-run: write at TIME update %s", args[0].text)
		return nil
	}
	w := p.world
	if n := len(w.updates); n > 0 && *at <= w.updates[n-1].At {
		p.faultf(args[0], "must come after the update before it, at %s", clock(w.updates[n-1].At))
		return nil
	}
	if bp.App.Name != old.App.Name {
		p.faultf(args[0], "is the application %s, and this one is %s", bp.App.Name, old.App.Name)
		return nil
	}
	w.latest = foresail.Align(old, bp)
	w.updates = append(w.updates, sim.Update{At: *at, Blueprint: w.latest})
	return nil
}

// truth reads "truth over A..B": what was injected, which no manager is told.
func (p *parser) truth(b *block, args []token, _ *time.Duration) func(*runner) output {
	s, rest, ok := p.span(args)
	if !ok {
		return nil
	}
	p.only(rest)
	w := p.world
	return func(r *runner) output {
		var out []string
		for _, t := range w.record.truth {
			if at := t.At.Sub(w.record.start); at >= s.from && at < s.to {
				out = append(out, clock(at)+" "+tellTruth(t))
			}
		}
		if len(out) == 0 {
			out = []string{"(none)"}
		}
		return r.golden(b, out)
	}
}

func tellTruth(t fault.Truth) string {
	if t.Moment == fault.Updates {
		return fmt.Sprintf("update to generation %d: %s", t.Generation, strings.Join(t.Services, ", "))
	}
	text := t.Fault.Kind.String()
	if on := t.Fault.Target.String(); on != "" {
		text += " on " + on
	}
	text += " " + t.Moment.String()
	if hit := slices.Concat(t.Replicas, t.Nodes); len(hit) > 0 {
		text += ": " + strings.Join(hit, ", ")
	}
	return text
}
