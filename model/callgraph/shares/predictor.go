package shares

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"foresail.dev"
)

// Config says how a Predictor works. Its zero value works.
type Config struct {
	Methods []Method // that compete; nil: LastValue, Ridge and Regimes. LastValue is always among them
	// Pool is series of other endpoints or applications that quick methods start from; nil: they know nothing.
	Pool []Series
	// Sampled is the part of requests whose traces were seen, where ShapeStats.Requests are scaled up from them; 0: all.
	Sampled float64
	Windows int    // of history that is kept and learnt from; 0: 720, twelve hours of minutes
	Seed    uint64 // of training
}

// Predictor follows the call graphs of an endpoint, or of all endpoints together, through the windows (minutes) of an application's life,
// and predicts with the method that has been the best on it so far. It is deterministic and not safe for concurrent use. Its state is
// the history and what Learn trained: all else follows from them, so that forms may come and go.
type Predictor struct {
	config   Config
	quick    []Model // by method; nil where it is slow
	trained  []learnt
	forms    []*foresail.Form // by key
	history  []observed
	seen     int // windows with requests, ever
	watchers []*Watcher
	novel    float64 // shares that forms had in the window in which they came first, decayed,
	windows  float64 // and windows, likewise
}

// learnt is what a slow method's training made, after so many windows.
type learnt struct {
	model Model
	at    int
}

// observed is one window: requests by form, in the order of Predictor.forms.
type observed struct {
	counts []float64
	at     int // windows with requests before it
}

const (
	defaultWindows = 720
	novelForget    = 0.99
	mostRequests   = 1e15
)

// NewPredictor makes a predictor that has observed nothing. An error is one of Config.
func NewPredictor(c Config) (*Predictor, error) {
	switch {
	case !(c.Sampled >= 0 && c.Sampled <= 1):
		return nil, fmt.Errorf("sampled %v: the part of requests that is traced lies within 0 and 1", c.Sampled)
	case c.Windows < 0:
		return nil, fmt.Errorf("a history of %d windows: give a number from 1 on, or 0 for %d", c.Windows, defaultWindows)
	}
	if c.Sampled == 0 {
		c.Sampled = 1
	}
	if c.Windows == 0 {
		c.Windows = defaultWindows
	}
	if c.Methods == nil {
		c.Methods = []Method{LastValue, Ridge, Regimes}
	}
	c.Methods = slices.DeleteFunc(slices.Clone(c.Methods), func(m Method) bool { return m.Name() == LastValue.Name() })
	c.Methods = slices.Insert(c.Methods, 0, LastValue)
	p := &Predictor{config: c, quick: make([]Model, len(c.Methods)), trained: make([]learnt, len(c.Methods))}
	for i, m := range c.Methods {
		if _, slow := m.(Slow); slow {
			continue
		}
		var err error
		if p.quick[i], err = m.Train(c.Pool, Options{Seed: c.Seed}); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name(), err)
		}
	}
	return p, nil
}

// Observe takes what was observed in the next window. One in which no request was observed tells nothing and is passed over. Counts that
// are no numbers are refused with an error that names the form, and the window is passed over.
func (p *Predictor) Observe(stats []foresail.ShapeStats) error {
	total := 0.0
	for i := range stats {
		n := stats[i].Requests
		if !(n >= 0) || n > mostRequests {
			return fmt.Errorf("the form %s has %v requests: it must be a number from 0 on", stats[i].Form.Key(), n)
		}
		total += n
	}
	if total == 0 {
		return nil
	}
	fresh, known := 0.0, len(p.forms)
	for i := range stats {
		if _, found := p.find(stats[i].Form.Key()); !found && stats[i].Requests > 0 {
			fresh += stats[i].Requests
		}
	}
	if known > 0 { // in the first window all are new
		p.novel, p.windows = p.novel*novelForget+fresh/total, p.windows*novelForget+1
	}
	rebuild := fresh > 0
	if rebuild {
		p.insert(stats)
	}
	o := observed{counts: make([]float64, len(p.forms)), at: p.seen}
	for i := range stats {
		if k, found := p.find(stats[i].Form.Key()); found {
			o.counts[k] += stats[i].Requests
		}
	}
	p.seen++
	p.history = append(p.history, o)
	if n := len(p.history) - p.config.Windows; n > p.config.Windows/4 { // now and then, so that rebuilding is rare
		p.history = append(p.history[:0], p.history[n:]...)
		p.forget()
		rebuild = true
	}
	if rebuild {
		p.rebuild()
		return nil
	}
	p.feed(o)
	return nil
}

func (p *Predictor) find(key string) (int, bool) {
	return slices.BinarySearchFunc(p.forms, key, func(f *foresail.Form, key string) int { return cmp.Compare(f.Key(), key) })
}

// insert adds the forms that are not known, to the history as well.
func (p *Predictor) insert(stats []foresail.ShapeStats) {
	for i := range stats {
		k, found := p.find(stats[i].Form.Key())
		if found || stats[i].Requests == 0 {
			continue
		}
		p.forms = slices.Insert(p.forms, k, stats[i].Form)
		for j := range p.history {
			p.history[j].counts = slices.Insert(p.history[j].counts, k, 0)
		}
	}
}

// forget drops the forms that are nowhere in the history.
func (p *Predictor) forget() {
	for k := len(p.forms) - 1; k >= 0; k-- {
		if slices.ContainsFunc(p.history, func(o observed) bool { return o.counts[k] > 0 }) {
			continue
		}
		p.forms = slices.Delete(p.forms, k, k+1)
		for j := range p.history {
			p.history[j].counts = slices.Delete(p.history[j].counts, k, k+1)
		}
	}
}

// rebuild follows the history anew.
func (p *Predictor) rebuild() {
	p.watchers = make([]*Watcher, len(p.config.Methods))
	for i := range p.config.Methods {
		p.follow(i)
	}
	for _, o := range p.history {
		p.feed(o)
	}
}

// follow starts the tracker of a method anew; it follows nothing where there is no model that can.
func (p *Predictor) follow(i int) {
	m := p.quick[i]
	if m == nil {
		m = p.trained[i].model
	}
	p.watchers[i] = nil
	if m == nil {
		return
	}
	if t, ok := m.Track(len(p.forms)); ok {
		p.watchers[i] = NewWatcher(t, len(p.forms))
	}
}

// feed shows a window to all trackers. What a slow method was trained on says nothing of how good it is.
func (p *Predictor) feed(o observed) {
	row, total := o.shares()
	for i, w := range p.watchers {
		if w == nil {
			continue
		}
		w.Observe(row, total*p.config.Sampled)
		if o.at < p.trained[i].at {
			w.Squares = w.Squares[:0]
		}
	}
}

func (o observed) shares() (row []float64, total float64) {
	for _, n := range o.counts {
		total += n
	}
	row = make([]float64, len(o.counts))
	for i, n := range o.counts {
		row[i] = n / total
	}
	return row, total
}

// Learn trains the methods whose training takes long on the history. It is for a foresail.Learner's Learn, and not for a decision.
func (p *Predictor) Learn() error {
	var errs []error
	changed := false
	for i, m := range p.config.Methods {
		if _, slow := m.(Slow); !slow || len(p.history) == 0 {
			continue
		}
		s := Series{Name: "history"}
		for _, o := range p.history {
			row, total := o.shares()
			s.Rows, s.Requests = append(s.Rows, row), append(s.Requests, total*p.config.Sampled)
		}
		model, err := m.Train([]Series{s}, Options{Seed: p.config.Seed})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.Name(), err))
			continue
		}
		p.trained[i] = learnt{model, p.seen}
		changed = true
	}
	if changed {
		p.rebuild()
	}
	return errors.Join(errs...)
}

// ErrUnobserved is returned by Predict before any request was observed.
var ErrUnobserved = errors.New("no request's call graph was observed yet")

// Prediction is a Forecast for the forms of an application.
type Prediction struct {
	Forecast
	Forms []*foresail.Form // of which Shares, Low and High are
	// Novel is the part of requests that is expected to have forms that were never seen before, by how large a part such had in the
	// windows so far. Shares is of the others.
	Novel  float64
	Method string
	Reason string // why it is this method, for people
}

// Predict is what is expected ahead ≥ 1 windows after the last in which requests were observed.
func (p *Predictor) Predict(ahead int) (Prediction, error) {
	if len(p.history) == 0 {
		return Prediction{}, ErrUnobserved
	}
	if ahead < 1 {
		return Prediction{}, fmt.Errorf("%d windows ahead: give a number from 1 on", ahead)
	}
	best, why := p.Best()
	return Prediction{Forecast: p.watchers[best].Forecast(ahead), Forms: slices.Clone(p.forms),
		// As if there had been a window before the first in which a hundredth was new, and ten in which nothing was.
		Novel: (p.novel + 0.01) / (p.windows + 10), Method: p.config.Methods[best].Name(), Reason: why}, nil
}

// Best is the method, by its index in Config.Methods with LastValue first, whose predictions one window ahead were off by least in the
// windows so far, in the mean square, and why. It is LastValue unless another was better by more than such a difference is
// uncertain (twice its standard error), in at least 20 windows.
func (p *Predictor) Best() (best int, why string) {
	base := p.watchers[0].Squares
	if len(base) < fewKept {
		return 0, fmt.Sprintf("last value: only %d windows were predicted and came, %d are needed to choose", len(base), fewKept)
	}
	least, windows, last := math.Inf(1), 0, 0.0
	for i, w := range p.watchers {
		if i == 0 || w == nil || len(w.Squares) < fewKept {
			continue
		}
		n := min(len(w.Squares), len(base))
		a, b := w.Squares[len(w.Squares)-n:], base[len(base)-n:]
		gain, mean := 0.0, 0.0
		for k, v := range a {
			gain += (b[k] - v) / float64(n)
			mean += v / float64(n)
		}
		spread := 0.0
		for k, v := range a {
			spread += (b[k] - v - gain) * (b[k] - v - gain)
		}
		if gain > 0 && gain > 2*math.Sqrt(spread/float64(n-1)/float64(n)) && mean < least {
			best, least, windows, last = i, mean, n, mean+gain
		}
	}
	if best == 0 {
		return 0, fmt.Sprintf("last value: in %d windows no method was clearly better", len(base))
	}
	return best, fmt.Sprintf("%s: off by %.3g in the root mean square of %d windows, the last value by %.3g",
		p.config.Methods[best].Name(), math.Sqrt(least), windows, math.Sqrt(last))
}
