package adapting

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/adapt"
	"foresail.dev/model/tail/drift"
)

// Options of Start.
type Options struct {
	App    *foresail.App
	Model  *tail.Model // that the run begins with; it must fit App
	Policy adapt.Config
	Data   []tail.Run // what the model was trained on; nil: not known
	Hold   time.Duration
	Seed   uint64

	Build func(*tail.Model) (foresail.Manager, error)                                     // makes the manager for a model
	Keep  func(ctx context.Context, m *tail.Model, at time.Time) (name string, err error) // keeps a model that took over; nil: they are not kept
	Tell  func(line string)                                                               // a person, at the terminal

	// Tune fine-tunes a model; nil: tail.FineTune.
	Tune func(ctx context.Context, old *tail.Model, runs []tail.Run) (*tail.Model, error)
}

// queue is how many seconds may wait for being looked at: ten minutes.
const queue = 600

// Adapter adapts the model of one run. Its methods may be called from any goroutine.
type Adapter struct {
	o       Options
	swap    loop.Swap
	notes   notes
	seconds chan second
	results chan result
	stop    context.CancelFunc
	done    chan struct{}
	last    time.Time // of the second that was given to the worker last; of the loop's goroutine

	dropped             atomic.Int64
	failed, worse, took atomic.Int64
	found               atomic.Pointer[[]drift.Finding]
	training            atomic.Bool
}

// second is what was observed, of which application.
type second struct {
	app  *foresail.App
	step tail.Step
	done chan struct{} // closed when everything before it was looked at; not nil: there is no second
}

// Start begins to watch. Close ends it.
func Start(o Options) *Adapter {
	if o.Tune == nil {
		o.Tune = func(ctx context.Context, old *tail.Model, runs []tail.Run) (*tail.Model, error) {
			cfg := tail.Tuning()
			cfg.Seed, cfg.Source = o.Seed, "a run of "+o.App.Name
			m, _, err := tail.FineTune(ctx, old, runs, cfg, nil)
			return m, err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &Adapter{o: o, seconds: make(chan second, queue), results: make(chan result, 1), stop: stop, done: make(chan struct{})}
	w := newWorker(a)
	go func() {
		defer close(a.done)
		w.run(ctx)
	}()
	return a
}

// Close ends it, an attempt that is under way included.
func (a *Adapter) Close() {
	if a == nil {
		return
	}
	a.stop()
	<-a.done
}

// Wrap is a manager whose plans tell what became of the model.
func (a *Adapter) Wrap(m foresail.Manager) foresail.Manager { return &noting{m, &a.notes} }

// Options puts into a loop's options what it needs.
func (a *Adapter) Options(o *loop.Options) {
	if a == nil {
		return
	}
	o.Swap = &a.swap
	o.History = o.History.Join(foresail.Needs{Seconds: a.behind() + 1})
	o.Events = loop.Join(o.Events, loop.Events{Observed: a.observe})
}

// behind is how many seconds a second must be old to be final.
func (a *Adapter) behind() int { return int((a.o.Hold + tail.Interval - 1) / tail.Interval) }

// observe hands the next final second to the worker, or drops it.
func (a *Adapter) observe(h *foresail.History, _ *foresail.Snapshot) {
	all := h.Seconds(a.behind() + 1)
	if len(all) <= a.behind() || !all[0].End.After(a.last) && !all[0].End.Before(a.last.Add(-time.Minute)) {
		return
	}
	a.last = all[0].End
	if all[0].Stale {
		return
	}
	select {
	case a.seconds <- second{app: h.App(), step: tail.Observe(h.App(), all[0])}:
	default:
		a.dropped.Add(1)
	}
}

// Metrics tells /metrics what there is.
func (a *Adapter) Metrics(emit func(name string, v float64, labels ...string)) {
	count := map[drift.Kind]int{}
	if f := a.found.Load(); f != nil {
		for i := range *f {
			count[(*f)[i].Kind]++
		}
	}
	for _, k := range []drift.Kind{drift.Residual, drift.Calibration, drift.Input, drift.Release, drift.Machine, drift.Services} {
		emit("foresail_model_drift", float64(count[k]), string(k))
	}
	emit("foresail_model_attempts_total", float64(a.took.Load()), "took-over")
	emit("foresail_model_attempts_total", float64(a.worse.Load()), "no-better")
	emit("foresail_model_attempts_total", float64(a.failed.Load()), "failed")
	training := 0.0
	if a.training.Load() {
		training = 1
	}
	emit("foresail_model_training", training)
	emit("foresail_model_skipped_seconds_total", float64(a.dropped.Load()))
}

// worker is what the background goroutine knows.
type worker struct {
	a         *Adapter
	model     *tail.Model
	predictor *tail.Predictor
	watch     *drift.Watch
	buffer    *adapt.Buffer
	policy    adapt.Policy
	recent    []tail.Step // at most tail.Past
	app       *foresail.App
	told      []drift.Finding
	outside   time.Time // when the model was last asked what lies outside
	broken    bool      // the model has panicked: it is not asked again
	learning  sync.WaitGroup
}

func newWorker(a *Adapter) *worker {
	w := &worker{a: a, app: a.o.App, buffer: adapt.NewBuffer(a.o.Policy.Keep)}
	w.use(a.o.Model)
	w.watch = drift.New(a.o.App, w.reference(a.o.Data), a.o.Model.Missed)
	return w
}

// reference is what is known of a model's training. Without its data there are no channels, and what lies outside is what the
// model itself says.
func (w *worker) reference(data []tail.Run) drift.Reference {
	return drift.Learn(w.a.o.App, data, w.model.Margin())
}

func (w *worker) use(m *tail.Model) { w.model, w.predictor, w.broken = m, m.Predictor(), false }

func (w *worker) run(ctx context.Context) {
	defer w.learning.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-w.a.seconds:
			if s.done != nil {
				close(s.done)
				continue
			}
			w.take(ctx, s)
		case r := <-w.a.results:
			w.judge(ctx, r)
		}
	}
}

// take looks at the next second.
func (w *worker) take(ctx context.Context, s second) {
	if s.app.Generation != w.app.Generation {
		w.watch.Grown(s.app, s.step.End)
		w.app = s.app
	}
	w.watch.Add(&s.step, w.predict(&s.step))
	if n := len(w.recent); n > 0 && !s.step.End.Equal(w.recent[n-1].End.Add(tail.Interval)) {
		w.recent = w.recent[:0]
	}
	if len(w.recent) == tail.Past {
		w.recent = append(w.recent[:0], w.recent[1:]...)
	}
	w.recent = append(w.recent, s.step)
	w.buffer.Add(s.step)
	if d := s.step.End.Sub(w.outside); d >= time.Minute || d < 0 {
		w.outside = s.step.End
		w.ask(s.step.End)
		w.look(ctx, s.step.End)
	}
}

// predict is what the model says of a second, from those before it; nil where it says nothing.
func (w *worker) predict(s *tail.Step) *tail.Prediction {
	if w.broken || len(w.recent) < tail.Past || !s.End.Equal(w.recent[len(w.recent)-1].End.Add(tail.Interval)) {
		return nil
	}
	var out [1]tail.Prediction
	err := guarded(func() error {
		if err := w.predictor.Look(w.recent); err != nil {
			return err
		}
		w.predictor.Try([][]float64{adapt.Cores(nil, s)}, out[:])
		return nil
	})
	if err != nil {
		w.fault(err)
		return nil
	}
	return &out[0]
}

// ask asks the model in what way the newest second lies outside of what it was trained on.
func (w *worker) ask(at time.Time) {
	if w.broken || len(w.recent) < tail.Past {
		return
	}
	var how []string
	if err := guarded(func() error {
		how = w.model.Outside(w.recent, adapt.Cores(nil, &w.recent[len(w.recent)-1]))
		return nil
	}); err != nil {
		w.fault(err)
		return
	}
	w.watch.Outside(at, how)
}

// fault notes a model that panics. One that has no answer, as where the application is another one, is no fault.
func (w *worker) fault(err error) {
	if p, ok := err.(panicked); ok {
		w.broken = true
		w.tell("the model failed: %v; it is watched no longer", p)
	}
}

// panicked is what a panic said.
type panicked string

func (p panicked) Error() string { return string(p) }

// guarded turns a panic into an error.
func guarded(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked(fmt.Sprintf("panic: %v", v))
		}
	}()
	return do()
}

func (w *worker) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.a.o.Tell(line)
	w.a.notes.put("model: " + line)
}

// look tells what is new, and begins an attempt when it is time.
func (w *worker) look(ctx context.Context, now time.Time) {
	found := w.watch.Findings()
	w.a.found.Store(&found)
	for _, f := range found {
		if !slices.ContainsFunc(w.told, func(g drift.Finding) bool { return same(f, g) }) {
			w.tell("no longer fits: %s", f)
		}
	}
	if len(found) == 0 && len(w.told) > 0 {
		w.tell("fits again")
	}
	w.told = found
	if w.a.training.Load() {
		return
	}
	runs := w.buffer.Since(adapt.From(found))
	why, due := w.policy.Due(w.a.o.Policy, now, found, adapt.Count(runs))
	if !due {
		return
	}
	w.begin(ctx, runs, now, why)
}

func same(a, b drift.Finding) bool {
	return a.Kind == b.Kind && a.What == b.What && a.Quantity == b.Quantity
}

// result is what came of an attempt.
type result struct {
	model *tail.Model
	err   error
	cut   time.Time // what ends after it was not learnt from
	now   time.Time // by the seconds' time, when it began
	took  time.Duration
	n     int // seconds that were learnt from
}

// begin fine-tunes in the background.
func (w *worker) begin(ctx context.Context, runs []tail.Run, now time.Time, why string) {
	learn, _ := adapt.Split(runs, w.a.o.Policy.HeldSeconds(adapt.Count(runs)))
	if len(learn) == 0 {
		return
	}
	last := learn[len(learn)-1].Steps
	r := result{cut: last[len(last)-1].End.Add((tail.Past + tail.Horizon) * tail.Interval), now: now, n: adapt.Count(learn)}
	old := w.model
	w.a.training.Store(true)
	w.tell("is fine-tuned on %d seconds: %s", r.n, why)
	w.learning.Add(1)
	go func() {
		defer w.learning.Done()
		began := time.Now()
		r.err = guarded(func() (err error) {
			r.model, err = w.a.o.Tune(ctx, old, learn)
			return err
		})
		r.took = time.Since(began)
		w.a.results <- r // there is room: one attempt at a time
	}()
}

// judge compares what came of an attempt with the model that is used, and hands it over when it is better.
func (w *worker) judge(ctx context.Context, r result) {
	defer w.a.training.Store(false)
	now := r.now
	if n := len(w.recent); n > 0 {
		now = w.recent[n-1].End
	}
	if ctx.Err() != nil {
		return
	}
	better := false
	defer func() { w.policy.Tried(now, better) }()
	err := r.err
	if err == nil && r.model == nil {
		err = fmt.Errorf("nothing came of it")
	}
	var why string
	if err == nil {
		err = guarded(func() error {
			held := w.buffer.Since(r.cut)
			ceiling := drift.Ceiling(w.a.o.App)
			before := adapt.Measure(tail.Past, w.model.Predictor(), w.model.Missed, ceiling, held)
			after := adapt.Measure(tail.Past, r.model.Predictor(), w.model.Missed, ceiling, held)
			why, better = adapt.Better(before, after, w.a.o.Policy.Margin)
			return nil
		})
	}
	var m foresail.Manager
	if err == nil && better {
		m, err = w.a.o.Build(r.model)
	}
	if err != nil {
		better = false
		w.a.failed.Add(1)
		w.tell("could not be fine-tuned: %v; the one before goes on", err)
		return
	}
	if !better {
		w.a.worse.Add(1)
		w.tell("fine-tuned in %.1f s on %d seconds, does not take over: %s", r.took.Seconds(), r.n, why)
		return
	}
	w.handOver(ctx, r, m, why, now)
}

// handOver hands a better model over.
func (w *worker) handOver(ctx context.Context, r result, m foresail.Manager, why string, now time.Time) {
	name := ""
	if w.a.o.Keep != nil {
		var err error
		if name, err = w.a.o.Keep(ctx, r.model, now); err != nil {
			w.tell("the new one can't be kept: %v", err)
		}
	}
	w.use(r.model)
	w.watch.Replace(w.reference(w.buffer.Since(time.Time{})), r.model.Missed)
	w.told = nil
	w.a.took.Add(1)
	text := fmt.Sprintf("fine-tuned in %.1f s on %d seconds, takes over: %s", r.took.Seconds(), r.n, why)
	if name != "" {
		text += "; kept as " + name
	}
	w.tell("%s", text)
	w.a.swap.To(w.a.Wrap(m))
}
