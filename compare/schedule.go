package compare

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Options of Grid.Run.
type Options struct {
	Dir     string // where runs are kept; empty: nowhere
	Workers int    // runs at once; 0: GOMAXPROCS
	Program string // names the program's own version: runs of another are made anew
	Reuse   Reuse
	Build   Build // nil: the managers there are
	Start   Start // starts real processes, for an experiment of cluster testbed
	// Progress is told of each finished run, and twice a second; nil: nobody. It is called from one goroutine at a time.
	Progress func(Progress)
	// Told is told what a person should know before it is over; nil: nobody.
	Told func(string)
}

// Reuse says which kept runs are used again.
type Reuse uint8

// What is used again.
const (
	ReuseSame Reuse = iota // runs with the same inputs, of the same program
	ReuseAny               // of any program
	ReuseNone              // none
)

var reuseNames = []string{"same", "any", "none"}

// String is the name in flags.
func (r Reuse) String() string { return reuseNames[r] }

// ParseReuse reads a name.
func ParseReuse(s string) (Reuse, error) {
	for i, n := range reuseNames {
		if n == s {
			return Reuse(i), nil
		}
	}
	return 0, fmt.Errorf("%q: use same (runs of this program), any (of any build of it) or none", s)
}

// Progress is how far an experiment has come.
type Progress struct {
	Done, Total int      // runs, kept ones included
	Share       float64  // of what had to be simulated, 0..1
	Finished    *Outcome // the run that ended just now; nil in between
}

// ErrStopped is returned when the context was done before the last run.
var ErrStopped = errors.New("stopped")

// tick is how often progress is told.
const tick = 500 * time.Millisecond

// runner makes jobs, over all stages of an experiment.
type runner struct {
	o        Options
	exec     executor
	store    *store
	outcomes map[string]*Outcome // by key
	older    int                 // kept runs of another program, made anew
	stuck    map[string]string   // by manager: the run in which it did not answer

	total      int           // jobs of all stages
	done       int           // of those, kept ones included
	toSimulate float64       // seconds of all stages, without those kept
	simulated  float64       // seconds of the jobs that were made
	going      map[*job]bool // the jobs at hand
}

func newRunner(o Options, limit time.Duration, s *store) *runner {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Build == nil {
		o.Build = build
	}
	return &runner{o: o, store: s, outcomes: map[string]*Outcome{}, stuck: map[string]string{}, going: map[*job]bool{},
		exec: executor{build: o.Build, program: o.Program, limit: limit, kept: s.dir != "", start: o.Start}}
}

// expect counts jobs that are to come.
func (r *runner) expect(jobs []*job) {
	r.total += len(jobs)
	for _, j := range jobs {
		r.toSimulate += j.Inputs.simulated()
	}
}

// run makes those jobs that are not kept. It returns at the first outcome that can't be kept, and when ctx is done.
func (r *runner) run(ctx context.Context, jobs []*job) error {
	wanted, err := r.reuse(jobs)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	queue, results := make(chan *job), make(chan result)
	for range min(r.o.Workers, len(wanted)) {
		go func() {
			for j := range queue {
				o, ok, abandoned := r.exec.execute(ctx, j)
				results <- result{j, o, ok, abandoned}
			}
		}()
	}
	err = r.feed(ctx, cancel, wanted, queue, results)
	close(queue)
	cancel()
	return err
}

// result is what a worker says of a job.
type result struct {
	job           *job
	outcome       *Outcome
	ok, abandoned bool
}

// feed hands jobs out and takes results in, until all that was handed out has come back.
func (r *runner) feed(ctx context.Context, cancel context.CancelFunc, wanted []*job, queue chan<- *job, results <-chan result) (err error) {
	timer := time.NewTicker(tick)
	defer timer.Stop()
	next, out, left := 0, 0, len(wanted)
	for {
		var to chan<- *job
		var j *job
		for next < len(wanted) && r.skip(wanted[next]) {
			next, left = next+1, left-1
		}
		stop := err != nil || ctx.Err() != nil
		if next < len(wanted) && !stop {
			to, j = queue, wanted[next]
		} else if out == 0 {
			if err == nil && left > 0 {
				err = ErrStopped
			}
			return err
		}
		select {
		case to <- j:
			r.going[j] = true
			next, out = next+1, out+1
		case s := <-results:
			out--
			if s.ok {
				left--
			}
			if e := r.take(s); e != nil && err == nil {
				err = e
				cancel()
			}
		case <-timer.C:
			r.tell(nil)
		}
	}
}

// reuse takes the jobs that are kept, and returns the others.
func (r *runner) reuse(jobs []*job) (wanted []*job, err error) {
	twice := map[string]bool{} // two trials may come to the same settings
	for _, j := range jobs {
		key := j.Inputs.key()
		if r.outcomes[key] != nil || twice[key] {
			r.pass(j)
			continue
		}
		twice[key] = true
		o, err := r.store.load(key)
		if err != nil {
			return nil, err
		}
		switch {
		case o == nil || o.Abandoned || r.o.Reuse == ReuseNone:
			wanted = append(wanted, j)
		case o.Program != r.o.Program && r.o.Reuse != ReuseAny:
			r.older++
			wanted = append(wanted, j)
		default:
			r.outcomes[key] = o
			r.pass(j)
		}
	}
	return wanted, nil
}

// pass counts a job that need not be made.
func (r *runner) pass(j *job) {
	r.done++
	r.toSimulate -= j.Inputs.simulated()
}

// take keeps what a worker brought.
func (r *runner) take(s result) error {
	delete(r.going, s.job)
	if !s.ok {
		return nil
	}
	if s.abandoned {
		r.stuck[s.job.Inputs.Manager] = s.job.String()
	}
	if err := s.outcome.unstarted; err != nil {
		return err
	}
	r.simulated += s.job.Inputs.simulated()
	return r.finish(s.outcome, s.abandoned)
}

// skip reports whether a job is not begun, because its manager did not answer in another.
func (r *runner) skip(j *job) bool {
	where, stuck := r.stuck[j.Inputs.Manager]
	if !stuck {
		return false
	}
	o := r.exec.outcome(j)
	o.Failed = "not begun: the manager did not answer in " + where
	r.toSimulate -= j.Inputs.simulated()
	return r.finish(o, true) == nil
}

// finish keeps an outcome. One that was abandoned is shown, but made anew the next time.
func (r *runner) finish(o *Outcome, abandoned bool) error {
	o.Abandoned = abandoned
	if err := r.store.save(o); err != nil {
		return fmt.Errorf("%w, then run the same command again: %s kept", err, sentence(r.done, "run is", "runs are"))
	}
	r.outcomes[o.Key] = o
	r.done++
	r.tell(o)
	return nil
}

// tell reports progress.
func (r *runner) tell(o *Outcome) {
	if r.o.Progress == nil {
		return
	}
	now := r.simulated
	for j := range r.going {
		now += float64(j.simulated.Load())
	}
	p := Progress{Done: r.done, Total: r.total, Finished: o, Share: 1}
	if r.toSimulate > 0 {
		p.Share = min(now/r.toSimulate, 1)
	}
	r.o.Progress(p)
}
