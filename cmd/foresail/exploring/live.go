package exploring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/loop"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/steps"
	"foresail.dev/plan/explore"
)

// Live keeps what is explored of one real application.
type Live struct {
	Manager *explore.Manager
	Dir     string
	Path    string // the file
	Log     io.Writer
	Stop    func() // ends the run; called when the budget is spent, when a disk is full, and when allocations are refused
	Err     error  // why it was stopped, where that is an error

	app     *foresail.App
	w       *steps.Writer
	tally   *Tally
	seed    uint64
	load    string
	refused int // decisions in a row of which a part was refused
	ended   bool
	left    func(done float64, what string)
	last    *foresail.Plan // what puts everything to its maximum
	began   time.Time
	length  time.Duration
}

// refusals are how many decisions in a row may be refused before it is no use to go on.
const refusals = 10

// Open begins the file of a real application, or goes on with it, and with what was learnt before: in dir, which must not
// hold a data set of another application. length is how long it is to go on, for progress; 0: until it is stopped.
func Open(dir string, app *foresail.App, cluster, load string, c explore.Config, seed uint64, length time.Duration, log io.Writer) (*Live, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, cli.Usage(err)
	}
	h := NewHeader(app, cluster, load, seed, cli.Commit())
	h.Settings = Settings(&c)
	if there, _ := filepath.Glob(filepath.Join(dir, "*"+steps.Ext)); len(there) > 0 {
		if _, err := steps.ReadDir(dir, &h.Schema); err != nil {
			return nil, cli.Usage(err)
		}
	}
	m, err := explore.New(app, c, seed)
	if err != nil {
		return nil, cli.Usage(err)
	}
	l := &Live{Manager: m, Dir: dir, Path: filepath.Join(dir, fmt.Sprintf("%s-%s-seed%d%s", cluster, load, seed, steps.Ext)), Log: log,
		app: app, tally: NewTally(app), seed: seed, load: load, length: length, left: cli.NewProgress(log).At}
	if l.w, err = steps.Append(l.Path, h); err != nil {
		return nil, cli.Usage(err)
	}
	return l, nil
}

// State is where the manager's state is kept: what was learnt, and what of the budget is spent, over all runs of the folder.
func (l *Live) State() string { return filepath.Join(l.Dir, "explore.state") }

// Events record the seconds that are final, and stop the run when there is a reason.
func (l *Live) Events() loop.Events {
	return loop.Events{Observed: l.observed, Decided: l.decided}
}

func (l *Live) observed(h *foresail.History, _ *foresail.Snapshot) {
	if l.Err != nil {
		return
	}
	l.last = l.Manager.End(h)
	app, now := h.App(), h.Now()
	if app.Generation != l.app.Generation {
		l.end(fmt.Errorf("services of %s came or went: what was explored until then is kept; begin anew with another folder", app.Name))
		return
	}
	if l.began.IsZero() {
		l.began = now
	}
	if d := now.Sub(l.began); l.length > 0 {
		l.left(d.Seconds()/l.length.Seconds(), l.progress(d))
	} else {
		l.left(-1, l.progress(d))
	}
	for _, s := range h.Seconds(l.Manager.Needs().Seconds) {
		if s.Stale || s.Duration() != tail.Interval || !s.Has.Has(foresail.SignalEndpoints) || !s.End.After(l.w.Last()) ||
			s.End.After(now.Add(-foresail.RevisionLimit)) || s.Start.Before(l.began.Add(-tail.Interval)) {
			continue
		}
		step := tail.Observe(app, s)
		l.tally.Add(&step)
		if err := l.w.Add(&step); err != nil {
			l.end(err)
			return
		}
	}
}

func (l *Live) progress(d time.Duration) string {
	return fmt.Sprintf("explored %v, the objective violated for %v", d.Truncate(time.Second), l.Manager.Spent())
}

func (l *Live) decided(d loop.Decision) {
	var refused *foresail.ApplyError
	switch {
	case d.Err == nil:
		l.refused = 0
	case errors.As(d.Err, &refused):
		if l.refused++; l.refused == refusals {
			l.end(fmt.Errorf("the cluster refused allocations %d times in a row, so that nothing is learnt: %w", refusals, d.Err))
		}
	case l.refused < refusals:
		if l.refused++; l.refused == refusals {
			l.end(d.Err)
		}
	}
	if l.Manager.Stopped() && d.Err == nil && !l.ended {
		fmt.Fprintf(l.Log, "the objective was violated for %v: the budget is spent, and everything is at its maximum\n", l.Manager.Spent())
		l.end(nil)
	}
}

func (l *Live) end(err error) {
	if !l.ended {
		l.ended = true
		l.Err = err
		l.Stop()
	}
}

// After leaves everything at its maximum, for whoever manages the application next.
func (l *Live) After(ctx context.Context, cluster foresail.Cluster) error {
	if l.last == nil {
		return nil
	}
	if err := cluster.Apply(ctx, l.last); err != nil {
		return fmt.Errorf("exploring is over, and not everything could be put to its maximum: %w", err)
	}
	return nil
}

// Close ends the file.
func (l *Live) Close() error { return l.w.Close() }

// Print prints what was explored.
func (l *Live) Print(w io.Writer, asJSON bool) error {
	r := l.tally.Row()
	r.Run, r.Load, r.Seed = filepath.Base(l.Path), l.load, l.seed
	return printResult(w, l.Dir, l.seed, []Row{r}, l.tally.Detail(), asJSON)
}

func printResult(w io.Writer, dir string, seed uint64, rows []Row, d Detail, asJSON bool) error {
	if !asJSON {
		return Print(w, dir, rows, d)
	}
	res := cli.NewResult("explore", &seed, rows)
	res.Detail = d
	return cli.PrintJSON(w, res)
}
