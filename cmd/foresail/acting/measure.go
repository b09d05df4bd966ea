package acting

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/seeing"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/plan/managers"
)

// Row is what acting was worth to one manager, over all runs: of all causes, of each, or where nothing was made to go wrong.
type Row struct {
	Application string `json:"application"`
	Manager     string `json:"manager"`
	Guarded     bool   `json:"guarded"`
	Cause       string `json:"cause"` // "all", what was injected, "load" where nothing was, or "calm": runs without faults
	Runs        int    `json:"runs"`
	Injected    int    `json:"injected"` // faults

	Episodes        int      `json:"episodes"`                         // of the manager alone
	Foreseen        int      `json:"foreseen"`                         // of those
	Named           *float64 `json:"culprit_named,omitempty"`          // share of those foreseen whose culprit was raised; absent: none is known
	Avoided         int      `json:"avoided"`                          // of all
	ForeseenAvoided int      `json:"foreseen_avoided"`                 // of those foreseen
	AvoidedShare    *float64 `json:"avoided_share,omitempty"`          // of all
	ForeseenShare   *float64 `json:"foreseen_avoided_share,omitempty"` // of those foreseen

	// These are of "all" and "calm".
	Wrapped     *int     `json:"episodes_wrapped,omitempty"` // of the manager wrapped
	Added       *int     `json:"episodes_added,omitempty"`   // of those, that belong to none of the manager alone
	Violated    *float64 `json:"violated_s,omitempty"`       // seconds that lay in episodes, alone
	ViolatedW   *float64 `json:"violated_wrapped_s,omitempty"`
	Alarms      *int     `json:"alarms,omitempty"`
	False       *int     `json:"false_alarms,omitempty"`
	Cores       *float64 `json:"cores_mean,omitempty"` // alone
	CoresW      *float64 `json:"cores_wrapped_mean,omitempty"`
	CoresAdded  *float64 `json:"cores_added_share,omitempty"`  // wrapped over alone, less one
	CoresRaised *float64 `json:"cores_raised_share,omitempty"` // what culprits held beyond what they would have had, over what was held alone
	CoresFalse  *float64 `json:"cores_false_share,omitempty"`  // of that, in false alarms
}

// pair is one seed both ways.
type pair struct{ alone, wrapped *managed }

// Measure does what the file says.
func (f *File) Measure(ctx context.Context, progress func(done float64, what string)) ([]Row, error) {
	bp, err := appfile.ReadApp(f.Application)
	if err != nil {
		return nil, cli.Usage(err)
	}
	model, err := trained.Foresight(f.Foresee.Model, bp.App)
	if err != nil {
		return nil, cli.Usage(err)
	}
	if model == nil {
		return nil, cli.Usagef("there is no model that foresees violations of %s: train one with `foresail train seer`, and name its file with foresee.model", bp.App.Name)
	}
	noisy := seeing.Operation{Blueprint: bp, Low: f.Low, High: f.High, Every: seeing.Between, Traced: 1, Kinds: f.causes(), Duration: f.Each.Truncate(foresail.Beat)}
	calm := noisy
	calm.Kinds = nil
	var rows []Row
	for i, name := range f.Managers {
		alone := func(app *foresail.App) (foresail.Manager, error) { return f.manager(name, app) }
		wrapped := func(app *foresail.App) (foresail.Manager, error) {
			inner, err := f.manager(name, app)
			if err != nil {
				return nil, err
			}
			return managers.Foreseen(inner, model, f.Foresee.Acts)
		}
		if _, err := wrapped(bp.App); err != nil {
			return nil, cli.Usage(err)
		}
		pairs := make([]pair, f.Runs+f.Calm)
		err := all(2*len(pairs), func(k int) (err error) {
			o, at, build := noisy, &pairs[k/2].alone, alone
			if k/2 >= f.Runs {
				o = calm
			}
			if k%2 > 0 {
				at, build = &pairs[k/2].wrapped, wrapped
			}
			*at, err = run(ctx, o, f.Seed+uint64(k/2), build)
			return err
		}, func(done float64) {
			progress((float64(i)+done)/float64(len(f.Managers)), fmt.Sprintf("%s under %s", bp.App.Name, name))
		})
		if err != nil {
			return nil, err
		}
		like := Row{Application: bp.App.Name, Manager: name, Guarded: f.Guarded}
		rows = append(rows, count(like, "all", pairs[:f.Runs])...)
		rows = append(rows, count(like, "calm", pairs[f.Runs:])...)
	}
	return rows, nil
}

func (f *File) manager(name string, app *foresail.App) (foresail.Manager, error) {
	model, err := trained.File("", name, app)
	if err != nil {
		return nil, err
	}
	o := managers.Options{Model: model}
	if f.Guarded {
		return managers.GuardedBuild(name, f.Baseline, app, o)
	}
	return managers.Build(name, app, o)
}

// all does n jobs on all processors; the first error ends it.
func all(n int, do func(k int) error, progress func(done float64)) error {
	next := make(chan int)
	var mu sync.Mutex
	var wait sync.WaitGroup
	var errs []error
	done := 0
	for range min(runtime.GOMAXPROCS(0), n) {
		wait.Go(func() {
			for k := range next {
				mu.Lock()
				failed := len(errs) > 0
				mu.Unlock()
				var err error
				if !failed {
					err = do(k)
				}
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				}
				done++
				progress(float64(done) / float64(n))
				mu.Unlock()
			}
		})
	}
	for k := range n {
		next <- k
	}
	close(next)
	wait.Wait()
	return errors.Join(errs...)
}

// count makes the rows of some pairs: the first is of all together.
func count(like Row, name string, pairs []pair) []Row {
	if len(pairs) == 0 {
		return nil
	}
	of := map[string][]fate{name: nil}
	injected := map[string]int{}
	total := like
	total.Cause, total.Runs = name, len(pairs)
	var wrapped, more, alarms, wrong int
	var violated, violatedW, cores, coresW, seconds, raised, wasted float64
	for _, p := range pairs {
		for _, f := range fates(p.alone, p.wrapped) {
			of[name] = append(of[name], f)
			if name == "all" {
				of[f.cause] = append(of[f.cause], f)
			}
		}
		for i := range p.alone.Faults {
			injected[name]++
			injected[p.alone.Faults[i].Kind.String()]++
		}
		n, extra := falseAlarms(p.alone, p.wrapped)
		wrong, wasted, raised = wrong+n, wasted+extra, raised+p.wrapped.extra()
		wrapped, more, alarms = wrapped+len(p.wrapped.Run.Episodes), more+added(p.alone, p.wrapped), alarms+len(p.wrapped.dangers)
		violated, violatedW = violated+p.alone.violated(), violatedW+p.wrapped.violated()
		cores, coresW, seconds = cores+p.alone.cores, coresW+p.wrapped.cores, seconds+p.alone.seconds
	}
	var rows []Row
	for cause, all := range of {
		r := like
		r.Cause, r.Runs, r.Injected = cause, len(pairs), injected[cause]
		r.tell(all)
		if cause == name {
			r.Wrapped, r.Added, r.Alarms, r.False = &wrapped, &more, &alarms, &wrong
			r.Violated, r.ViolatedW = rounded(violated), rounded(violatedW)
			if cores > 0 && seconds > 0 {
				r.Cores, r.CoresW, r.CoresAdded = rounded(cores/seconds), rounded(coresW/seconds), fine(coresW/cores-1)
				r.CoresRaised, r.CoresFalse = fine(raised/cores), fine(wasted/cores)
			}
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		if (a.Cause == name) != (b.Cause == name) {
			if a.Cause == name {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Cause, b.Cause)
	})
	return rows
}

// tell counts fates.
func (r *Row) tell(all []fate) {
	named, known := 0, 0
	for _, f := range all {
		r.Episodes++
		if f.avoided {
			r.Avoided++
		}
		if !f.foreseen {
			continue
		}
		r.Foreseen++
		if f.avoided {
			r.ForeseenAvoided++
		}
		if f.known {
			known++
			if f.named {
				named++
			}
		}
	}
	r.Named, r.AvoidedShare, r.ForeseenShare = share(named, known), share(r.Avoided, r.Episodes), share(r.ForeseenAvoided, r.Foreseen)
}

func share(n, of int) *float64 {
	if of == 0 {
		return nil
	}
	return rounded(float64(n) / float64(of))
}

func rounded(v float64) *float64 { v = cli.Round(v); return &v }

// fine keeps what a share of a percent is.
func fine(v float64) *float64 { v = cli.Round(v*100) / 100; return &v }
