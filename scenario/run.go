package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"foresail.dev"
)

type window = foresail.Window

// Result is what came of a scenario.
type Result struct {
	// Transcript is the file with what each command printed below it.
	Transcript string
	// Updated is the file with its outputs as they are now.
	Updated string
	// Failures are the expectations that did not hold, in the file's order.
	Failures []Failure
	// Simulated is how much time was.
	Simulated time.Duration
}

// Failure is an expectation or an output that did not hold.
type Failure struct {
	File string
	Line int // from 1
	Text string
	Why  []string // what was instead, and what led to it
	// Output is set where the file holds another output than there is now: an update mends it.
	Output bool
}

// Error tells the place, the text, and why.
func (f Failure) Error() string {
	return fmt.Sprintf("%s:%d: %s\n%s", f.File, f.Line, f.Text, indent(f.Why, "  "))
}

func indent(lines []string, by string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight(by+l, " ") + "\n")
	}
	return b.String()
}

// runner carries a scenario out.
type runner struct {
	ctx       context.Context
	lines     []string
	variables map[string]value
}

func (r *runner) run(s *Scenario) (*Result, error) {
	r.lines = s.lines
	out := &Result{}
	var transcript, updated []string
	next := 0
	copyTo := func(line int) { // what lies between commands
		for ; next < line; next++ {
			transcript, updated = append(transcript, s.lines[next]), append(updated, s.lines[next])
		}
	}
	for i := range s.commands {
		c := &s.commands[i]
		copyTo(c.line + 1)
		if c.do == nil {
			continue
		}
		if err := r.prepare(c.world, out); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", s.name, c.line+1, err)
		}
		o := c.do(r)
		next = c.to // the output there was
		for _, l := range o.lines {
			l = strings.TrimRight("  "+l, " ")
			transcript = append(transcript, l)
			if o.keep {
				updated = append(updated, l)
			}
		}
		if o.failure != nil {
			out.Failures = append(out.Failures, Failure{s.name, c.line + 1, strings.TrimSpace(s.lines[c.line]), o.failure, o.keep})
			transcript = append(transcript, "  FAILED: "+strings.TrimPrefix(strings.TrimRight(indent(o.failure, "  "), "\n"), "  "))
		}
	}
	copyTo(len(s.lines))
	for _, w := range s.worlds { // those that nothing was asked of: that they run at all
		if err := r.prepare(w, out); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	out.Transcript = strings.Join(transcript, "\n") + "\n"
	out.Updated = strings.Join(updated, "\n") + "\n"
	return out, nil
}

// prepare runs a world once.
func (r *runner) prepare(w *world, out *Result) error {
	if w.record != nil {
		return nil
	}
	if err := w.run(r.ctx); err != nil {
		w.record = nil
		if r.ctx.Err() != nil {
			err = errors.Join(errors.New("stopped before the end"), err)
		}
		return err
	}
	out.Simulated += w.duration
	return nil
}

// golden holds what a command prints against what the file has for it, where it has anything.
func (r *runner) golden(b *block, lines []string) output {
	o := output{lines: lines, keep: true}
	var want []string
	for _, l := range r.lines[b.from:b.to] {
		want = append(want, strings.TrimRight(strings.TrimPrefix(strings.TrimPrefix(l, "  "), "\t"), " \t\r"))
	}
	got := make([]string, len(lines))
	for i, l := range lines {
		got[i] = strings.TrimRight(l, " ")
	}
	if len(want) > 0 && !slices.Equal(got, want) {
		o.failure = append([]string{"the file has another output:"}, want...)
	}
	return o
}

// expect compares two terms, and tells what can be told where they don't fit.
func (r *runner) expect(left, right *term, op string, within float64) output {
	a, b := r.value(left), r.value(right)
	if holds(op, a.v, b.v, within) {
		return output{lines: []string{"ok: " + a.String()}}
	}
	why := []string{fmt.Sprintf("%s is %s, not %s %s", left, a, op, b)}
	for _, t := range []*term{left, right} {
		if t.metric != nil {
			why = append(why, r.context(t)...)
		}
	}
	return output{failure: why}
}

// context is what happened around a term: decisions with their reasons, and how it went.
func (r *runner) context(t *term) []string {
	w, around := t.world, t.span
	around.from = max(around.from-30*time.Second, 0)
	around.to = min(around.to+10*time.Second, w.duration)
	of := t.of
	if of.kind != services {
		of = subject{}
	}
	out := []string{"decisions " + around.String() + ":"}
	out = append(out, w.told(of, around, 6)...)
	wide := *t
	wide.span = around
	return append(out, r.plot(&wide, 64, 6)...)
}

func (r *runner) expectText(w *world, i int, of subject, s span, want string, has bool) output {
	var seen []string
	for k := range w.record.decisions {
		if d := &w.record.decisions[k]; d.at > s.from && d.at <= s.to {
			seen = append(seen, texts[i].of(d, of)...)
		}
	}
	at := slices.IndexFunc(seen, func(text string) bool { return strings.Contains(text, want) })
	switch {
	case at >= 0 && has:
		return output{lines: []string{"ok: " + seen[at]}}
	case at >= 0:
		return output{failure: []string{fmt.Sprintf("a %s contains %q: %s", texts[i].name, want, seen[at])}}
	case !has:
		return output{lines: []string{fmt.Sprintf("ok: none of %d", len(seen))}}
	}
	why := []string{fmt.Sprintf("none of %d contains %q", len(seen), want)}
	for _, text := range slices.Compact(seen) {
		if len(why) > 6 {
			why = append(why, "...")
			break
		}
		why = append(why, text)
	}
	return output{failure: append(why, append([]string{"decisions:"}, w.told(of, s, 6)...)...)}
}

// told lists the newest decisions of a span that changed something, fell back, failed or had something to say.
func (w *world) told(of subject, s span, limit int) []string {
	var out []string
	before := ""
	for i := range w.record.decisions {
		d := &w.record.decisions[i]
		if d.at <= s.from || d.at > s.to {
			continue
		}
		text := d.tell(w.final().App, of)
		if said := strings.Join(text, "\n"); len(text) > 0 && said != before {
			before = said
			for _, l := range text {
				out = append(out, clock(d.at)+" "+l)
			}
		}
	}
	if n := len(out) - limit; n > 0 {
		out = append([]string{fmt.Sprintf("(%d earlier lines)", n)}, out[n:]...)
	}
	if len(out) == 0 {
		out = []string{"(none)"}
	}
	return out
}

// tell is a decision in lines.
func (d *made) tell(app *foresail.App, of subject) (out []string) {
	if d.Err != nil {
		out = append(out, "failed: "+strings.ReplaceAll(d.Err.Error(), "\n", "; "))
	}
	if d.Plan == nil {
		return out
	}
	if d.Plan.Fallback != "" {
		out = append(out, d.Plan.Manager+" fell back: "+d.Plan.Fallback)
	}
	for _, c := range d.Plan.Changes {
		if of.kind != 0 && int(c.Service) != of.id {
			continue
		}
		from := foresail.Allocation{}
		if int(c.Service) < len(d.Before) {
			from = d.Before[c.Service]
		}
		line := fmt.Sprintf("%s: %s -> %s, %s: %s", app.Services[c.Service].Name, from, c.To, c.Reason.Rule, c.Reason.Text)
		if c.Reason.Bound != "" {
			line += " (" + c.Reason.Bound + ")"
		}
		out = append(out, line)
	}
	if d.Plan.Note != "" && of.kind == 0 {
		out = append(out, "note: "+d.Plan.Note)
	}
	return out
}

// merged is one snapshot of a span.
func (r *record) merged(s span) *foresail.Snapshot {
	from, to := int(s.from/time.Second), min(int(s.to/time.Second), len(r.seconds))
	if from >= to {
		return &foresail.Snapshot{}
	}
	if to-from == 1 {
		return r.seconds[from]
	}
	return foresail.Merge(r.seconds[from:to]...)
}

// plot draws a metric second by second.
func (r *runner) plot(t *term, width, height int) []string {
	return Plot(t.title(), t.world.series(t), Axis{From: t.span.from, To: t.span.to, Width: width, Height: height, Show: t.metric.unit.show})
}
