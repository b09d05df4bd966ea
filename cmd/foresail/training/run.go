package training

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"foresail.dev/telemetry/store/bucket"
)

// Run trains. Its first fields are set before Do; the others are what came of it.
type Run struct {
	Settings   Settings
	Source     Source
	Bucket     *bucket.Bucket
	Shard      Shard
	Only       []string // services to train; empty: all. The shared model is that of all, whichever these are
	Workers    int      // services at once; 0: as many as there are processors
	Force      bool     // trains what is there already, too
	SharedOnly bool     // trains the shared model and nothing else
	Commit     string
	Turns      bucket.Turns
	Progress   func(done float64, what string) // nil: nobody is told

	Rows        []Row // in the order of names, of the services that were come to
	SharedBuilt bool  // by this process
	SharedS     float64

	sharing     sync.Mutex
	sharedModel shared
	sharedDone  bool
	telling     sync.Mutex
}

// Row is what came of a service. What was not measured is absent.
type Row struct {
	Application string    `json:"application"`
	Service     string    `json:"service"`
	Method      string    `json:"method"`
	N           int       `json:"n"`
	M           int       `json:"m"`
	Start       string    `json:"start,omitempty"`
	TrainRows   int       `json:"train_rows,omitempty"`
	Gaps        int       `json:"gaps,omitempty"`
	Steps       int       `json:"steps,omitempty"`
	HeldOut     int       `json:"held_out_rows,omitempty"`
	Accuracy    *float64  `json:"accuracy,omitempty"`
	LastValue   *float64  `json:"last_value_accuracy,omitempty"`
	Within10    *float64  `json:"within10,omitempty"`
	Coverage90  *float64  `json:"coverage90,omitempty"`
	MASE        *float64  `json:"mase,omitempty"`
	LastMASE    *float64  `json:"last_value_mase,omitempty"`
	TrainS      float64   `json:"train_s,omitempty"`
	TrainedTo   time.Time `json:"trained_to,omitzero"`
	Version     string    `json:"version,omitempty"`
	SHA256      string    `json:"sha256,omitempty"`
	Again       bool      `json:"again,omitempty"`   // it was there already
	Skipped     string    `json:"skipped,omitempty"` // why nothing was trained
}

// Do trains all services of the shard that something can be learnt from. An error is one of the run, like a bucket that can't
// be written: what was finished until then is kept, and the next Do goes on from there.
func (r *Run) Do(ctx context.Context) error {
	if r.SharedOnly {
		s, err := r.share(ctx)
		if err == nil && s.model == nil {
			err = fmt.Errorf("there are fewer than %d services that something can be learnt from: no shared model is needed", fewestShared)
		}
		return err
	}
	mine, err := r.mine()
	if err != nil {
		return err
	}
	if len(mine) == 0 {
		return nil
	}
	workers := r.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	inner, stop := context.WithCancel(ctx) // the first failure ends all
	defer stop()
	rows, errs := make([]*Row, len(mine)), make([]error, len(mine))
	p := pace{total: len(mine), workers: min(workers, len(mine))}
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, len(mine)) {
		wg.Go(func() {
			for i := range next {
				row, err := r.one(inner, mine[i])
				if err != nil {
					errs[i] = err
					stop()
					continue
				}
				rows[i] = &row
				r.finished(&p, row)
			}
		})
	}
	for i := range mine {
		select {
		case next <- i:
			continue
		case <-inner.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	for _, row := range rows {
		if row != nil {
			r.Rows = append(r.Rows, *row)
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopped after %d of %d services: the same command goes on from there", len(r.Rows), len(mine))
	}
	for i, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s, after %d of %d services: %w", mine[i], len(r.Rows), len(mine), err)
		}
	}
	return nil
}

// ErrUnknown is a service to train that there is no series of.
var ErrUnknown = errors.New("no such service")

// mine are the services to train.
func (r *Run) mine() (mine []string, err error) {
	all := r.Source.Services()
	for _, s := range r.Only {
		if _, ok := slices.BinarySearch(all, s); !ok {
			return nil, fmt.Errorf("%w: %s has no series of %q", ErrUnknown, r.Source, s)
		}
	}
	for _, s := range all {
		if r.Shard.Has(s) && (len(r.Only) == 0 || slices.Contains(r.Only, s)) {
			mine = append(mine, s)
		}
	}
	return mine, nil
}

// pace tells how much of the work is done: what was there already took next to no time, and the shared model as much as some
// services do.
type pace struct{ total, done, quick, workers int }

func (r *Run) finished(p *pace, row Row) {
	r.telling.Lock()
	defer r.telling.Unlock()
	p.done++
	if row.Again || row.Skipped != "" {
		p.quick++
	}
	before := 0
	if r.SharedBuilt {
		before = p.workers * r.Settings.poolSteps() / r.Settings.steps(true)
	}
	done := 0.0
	if p.total > p.quick {
		done = float64(before+p.done-p.quick) / float64(before+p.total-p.quick)
	}
	if r.Progress != nil {
		r.Progress(done, fmt.Sprintf("%d of %d services, last %s", p.done, p.total, row.Service))
	}
}

func (r *Run) tell(done float64, what string) {
	r.telling.Lock()
	defer r.telling.Unlock()
	if r.Progress != nil {
		r.Progress(done, what)
	}
}
