package prom

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"foresail.dev"
)

// Config says what to read, and how.
type Config struct {
	Access
	App      *foresail.App     // nil: whatever services there are
	Recipes  []Recipe          // most trusted first; nil: the built-in ones
	Services map[string]string // the application's name of a service, by the one in labels, where they differ
	Selector string            // label matchers that every series must meet, as PromQL writes them: namespace="shop"

	// Interval is how long a snapshot is. 0: what the scrape interval allows, at least 5 s.
	Interval time.Duration
	// Lag is how long after an interval's end it is asked for: samples must have been scraped and stored. Default 1 s.
	Lag time.Duration
	// Log is told, each thing once in a while, what a person should know. nil: nobody.
	Log func(string)
	// Now is the time; nil: time.Now.
	Now func() time.Time
}

// Limits of an interval.
const (
	MinInterval = time.Second
	leastChosen = 5 * time.Second
	MaxInterval = 5 * time.Minute
)

// Reader reads moments and what happened between them. Its methods are for one goroutine at a time.
type Reader struct {
	cfg      Config
	client   *client
	app      *foresail.App
	open     bool // the application is what is found
	names    *names
	recipes  []Recipe
	selector string

	telling sync.Mutex
	told    map[string]time.Time
}

// NewReader checks the configuration; it asks nothing yet.
func NewReader(cfg Config) (*Reader, error) {
	if cfg.Interval != 0 && (cfg.Interval < MinInterval || cfg.Interval > MaxInterval) {
		return nil, fmt.Errorf("prometheus: an interval of %v: use %v to %v", cfg.Interval, MinInterval, MaxInterval)
	}
	if cfg.Lag == 0 {
		cfg.Lag = time.Second
	}
	if cfg.Lag < 0 || cfg.Lag > MaxInterval {
		return nil, fmt.Errorf("prometheus: a lag of %v: use up to %v", cfg.Lag, MaxInterval)
	}
	if cfg.Recipes == nil {
		cfg.Recipes = Builtin()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c, err := newClient(cfg.Access)
	if err != nil {
		return nil, err
	}
	r := &Reader{cfg: cfg, client: c, app: cfg.App, recipes: cfg.Recipes, selector: cfg.Selector, told: map[string]time.Time{}}
	if r.app == nil {
		r.app, r.open = &foresail.App{Name: "found"}, true
	}
	for alias, name := range cfg.Services {
		if _, ok := r.app.ServiceByName(name); !ok && !r.open {
			return nil, fmt.Errorf("prometheus: services: %s is to be %q, which the application does not have", alias, name)
		}
	}
	r.names = newNames(r.app, cfg.Services, false)
	return r, nil
}

// tell tells a person, the same thing at most each ten minutes.
func (r *Reader) tell(what string) {
	if r.cfg.Log == nil {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	now := r.cfg.Now()
	if t, ok := r.told[what]; ok && now.Sub(t) < 10*time.Minute || len(r.told) > 1000 {
		return
	}
	r.told[what] = now
	r.cfg.Log("prometheus: " + what)
}

// setup is what was found out about the server.
type setup struct {
	scrape time.Duration // between samples; 0: not known
	skew   time.Duration // of its clock, ahead of this one
	trip   time.Duration // of one question: how well the skew is known
}

// look is how an instant of this machine's clock is seen there. Nothing older than two scrapes and a half counts, so that
// what is gone is not taken for what stands still.
func (s setup) look(at time.Time) look {
	back := 5 * time.Minute
	if s.scrape > 0 {
		back = (s.scrape*5/2 + 2*time.Second - 1).Truncate(time.Second) // Prometheus takes no fractions here
	}
	if s.skew > s.trip+time.Second || -s.skew > s.trip+time.Second {
		at = at.Add(s.skew)
	}
	return look{at: at, back: back}
}

// interval is how long a snapshot is.
func (r *Reader) interval(s setup) time.Duration {
	if r.cfg.Interval > 0 {
		return r.cfg.Interval
	}
	d := max(s.scrape, leastChosen)
	return min((d + time.Second - 1).Truncate(time.Second), MaxInterval)
}

// clock asks for the server's time.
func (r *Reader) clock(ctx context.Context) (s setup, err error) {
	start := r.cfg.Now()
	ctx, cancel := context.WithTimeout(ctx, r.client.access.Wait)
	defer cancel()
	v, _, _, err := r.client.api.Query(ctx, "time()", time.Time{})
	if err != nil {
		return s, fmt.Errorf("prometheus: %s: %w", redacted(r.client.access.URL), plain(err))
	}
	var sec float64
	switch x := v.(type) {
	case *model.Scalar:
		sec = float64(x.Value)
	case model.Vector: // as VictoriaMetrics has it
		if len(x) == 1 && x[0] != nil {
			sec = float64(x[0].Value)
		}
	}
	if !(sec > 0 && sec < 1e11) {
		return s, fmt.Errorf("prometheus: %s: asked for its time, it answered with a %s: is this a Prometheus API?", redacted(r.client.access.URL), typeOf(v))
	}
	s.trip = r.cfg.Now().Sub(start)
	s.skew = time.Duration(sec*1e9) - time.Duration(start.Add(s.trip/2).UnixNano())
	return s, nil
}

// scraped finds out how far apart samples are, from those of one series of the plan.
func (r *Reader) scraped(ctx context.Context, p *plan, l look) time.Duration {
	var widest time.Duration
	done := map[string]bool{}
	for _, q := range p.queries {
		if done[q.recipe] || q.form == native || len(done) >= maxProbes {
			continue
		}
		done[q.recipe] = true
		if d := r.spacing(ctx, q, l); d > widest {
			widest = d
		}
	}
	if widest == 0 {
		for _, q := range p.queries {
			if q.form == native {
				return r.spacing(ctx, q, l)
			}
		}
	}
	return widest
}

// maxProbes is how many series are looked at for the scrape interval: one for each recipe, which may be scraped apart.
const maxProbes = 4

// spacing is the median time between the newest samples of one series of a query; 0: not known.
func (r *Reader) spacing(ctx context.Context, q *query, l look) time.Duration {
	const window = 10 * time.Minute
	all := func(foresail.ServiceID) bool { return true }
	count := "count_over_time(" + selectorOf(q.name(), []string{among(r.names, q.label, q.serves, all), q.series.Where, r.selector}) + "[10m])"
	v, _, err := r.client.query(ctx, "topk(1, "+count+")", l)
	if err != nil || len(v) == 0 || v[0] == nil {
		return 0
	}
	var matchers []string
	for name, value := range v[0].Metric {
		if name != model.MetricNameLabel {
			matchers = append(matchers, labelName(string(name))+"="+quote(string(value)))
		}
	}
	slices.Sort(matchers)
	ctx, cancel := context.WithTimeout(ctx, r.client.access.Wait)
	defer cancel()
	raw, _, _, err := r.client.api.Query(ctx, selectorOf(q.name(), matchers)+"[10m]", l.at)
	matrix, ok := raw.(model.Matrix)
	if err != nil || !ok {
		return 0
	}
	var gaps []time.Duration
	for _, s := range matrix {
		if s == nil {
			continue
		}
		var last model.Time
		note := func(t model.Time) {
			if d := t.Sub(last); last != 0 && d > 0 && d <= window {
				gaps = append(gaps, d)
			}
			last = t
		}
		for _, x := range s.Values {
			note(x.Timestamp)
		}
		for _, x := range s.Histograms {
			note(x.Timestamp)
		}
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2].Round(100 * time.Millisecond)
}
