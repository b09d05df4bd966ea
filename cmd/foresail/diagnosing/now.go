package diagnosing

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/model/diagnose/locate"
	"foresail.dev/model/diagnose/resource"
)

// Job is what of a history is compared, and how it is told.
type Job struct {
	At     string        // the end of what is diagnosed: a time, or how long before the newest snapshot
	For    time.Duration // how long that is
	Before time.Duration // how long all was well, up to then
	JSON   bool
	Out    io.Writer
}

// Finding is a row: what holds a suspect up. A suspect that nothing is found of has one without a resource.
type Finding struct {
	Place    int                `json:"place"` // of the suspect, from 1 on
	Service  string             `json:"service"`
	Score    float64            `json:"score"`
	Signs    string             `json:"signs"`
	Resource *resource.Resource `json:"resource,omitempty"`
	Share    *float64           `json:"share,omitempty"` // of the time
	Evidence string             `json:"evidence,omitempty"`
	Action   string             `json:"action,omitempty"`
	Node     string             `json:"node,omitempty"`
}

// Compared is what does not fit in rows.
type Compared struct {
	WellFrom    time.Time           `json:"well_from"`
	From        time.Time           `json:"from"`
	To          time.Time           `json:"to"`
	Unavailable map[string][]string `json:"unavailable,omitempty"` // by service: what could not be told, for want of which signal
}

// Run diagnoses a stretch of a history.
func (j *Job) Run(ctx context.Context, h history.Readable) error {
	if j.For < time.Second || j.Before < time.Second {
		return cli.Usagef("--for %v, --before %v: give a second or more of each", j.For, j.Before)
	}
	oldest, newest := h.Range()
	if newest.IsZero() {
		return fmt.Errorf("the history is empty: nothing was kept yet")
	}
	to, err := history.Moment("at", j.At, oldest, newest)
	if err != nil {
		return err
	}
	from := to.Add(-j.For)
	d := Compared{WellFrom: from.Add(-j.Before), From: from, To: to, Unavailable: map[string][]string{}}
	var before, now []*foresail.Snapshot
	for s, err := range h.Snapshots(ctx, d.WellFrom, to, time.Second) {
		if err != nil {
			return err
		}
		switch {
		case !s.Start.Before(from):
			now = append(now, s)
		case !s.End.After(from):
			before = append(before, s)
		}
	}
	app := h.App()
	found, err := locate.Find(app, before, now, locate.Config{})
	if err != nil {
		return fmt.Errorf("%w; the history goes from %s to %s", err, oldest.Format(time.RFC3339), newest.Format(time.RFC3339))
	}
	rows := Findings(app, found)
	for _, s := range found {
		if u := s.Diagnosis.Unavailable; len(u) > 0 {
			d.Unavailable[app.Services[s.Service].Name] = u
		}
	}
	if j.JSON {
		r := cli.NewResult("diagnose", nil, rows)
		r.Detail = d
		return cli.PrintJSON(j.Out, r)
	}
	return j.print(rows, d)
}

// Findings are the rows of suspects.
func Findings(app *foresail.App, found []locate.Suspect) []Finding {
	rows := []Finding{}
	for i, s := range found {
		row := Finding{Place: i + 1, Service: app.Services[s.Service].Name, Score: cli.Round(s.Score)}
		var signs []string
		for _, e := range s.Signs {
			if e.Score >= 0.05 {
				signs = append(signs, fmt.Sprintf("%s (%.1f)", e.Sign, e.Z))
			}
		}
		row.Signs = strings.Join(signs, ", ")
		if len(s.Diagnosis.Findings) == 0 {
			rows = append(rows, row)
		}
		for _, f := range s.Diagnosis.Findings {
			share := cli.Round(f.Share)
			row.Resource, row.Share, row.Evidence, row.Action, row.Node = &f.Resource, &share, f.Evidence, f.Action, f.Node
			rows = append(rows, row)
		}
	}
	return rows
}

func (j *Job) print(rows []Finding, d Compared) error {
	var b strings.Builder
	fmt.Fprintf(&b, "from %s to %s, beside what was from %s on\n", d.From.Format(time.DateTime), d.To.Format(time.TimeOnly), d.WellFrom.Format(time.DateTime))
	if len(rows) == 0 {
		b.WriteString("no service does anything else than before\n")
	}
	last := 0
	for _, r := range rows {
		if r.Place != last {
			last = r.Place
			fmt.Fprintf(&b, "\n%d. %s: %s\n", r.Place, r.Service, r.Signs)
		}
		if r.Resource == nil {
			b.WriteString("   no resource holds it up, of those that were observed\n")
			continue
		}
		fmt.Fprintf(&b, "   %s, %.0f %% of the time: %s\n   to do: %s", r.Resource, 100**r.Share, r.Evidence, r.Action)
		if r.Node != "" {
			fmt.Fprintf(&b, " (node %s)", r.Node)
		}
		b.WriteString("\n")
	}
	for name, lacks := range d.Unavailable {
		if rows[0].Service == name {
			for _, u := range lacks {
				fmt.Fprintf(&b, "   can't be told: %s\n", u)
			}
		}
	}
	for line := range strings.Lines(b.String()) { // names come from outside
		if _, err := fmt.Fprintln(j.Out, strings.Map(cli.Printable, strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}
