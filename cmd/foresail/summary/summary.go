// Package summary sums up what a run came to, for its result.
package summary

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/loop"
	"foresail.dev/sketch"
)

// row is one endpoint in the result of run, simulate and testbed. What was not observed is absent.
type row struct {
	Application    string   `json:"application"`
	Endpoint       string   `json:"endpoint"`
	Requests       float64  `json:"requests"`
	Errors         float64  `json:"errors"`
	P50            *float64 `json:"p50_ms,omitempty"`
	P95            *float64 `json:"p95_ms,omitempty"`
	P99            *float64 `json:"p99_ms,omitempty"`
	Objective      *float64 `json:"objective_ms,omitempty"`
	Percentile     *float64 `json:"objective_percentile,omitempty"`
	Met            *bool    `json:"met,omitempty"`
	ViolationShare *float64 `json:"violation_share,omitempty"`
	Windows        *int     `json:"windows,omitempty"`
	CoresMean      *float64 `json:"cores_mean,omitempty"`
	CoresUsedMean  *float64 `json:"cores_used_mean,omitempty"`
	ReplicasMean   *float64 `json:"replicas_mean,omitempty"`
	PlanChanges    int      `json:"plan_changes"`
	Observed       float64  `json:"observed_s"` // how long it was observed
}

// Summary gathers a run into rows. Its Events are to be called by the loop; rows may be asked for at any time.
type Summary struct {
	mu        sync.Mutex
	hold      time.Duration
	app       *foresail.App
	endpoints []endpointSum
	seconds   float64
	cores     mean
	used      mean
	replicas  mean
	changes   int
	stale     int
	beats     int
	dropped   float64
	applyErr  error
	fallbacks map[string]int
}

// maxReasons bounds how many different reasons for a fallback are told apart.
const maxReasons = 20

type endpointSum struct {
	requests, errors, late float64
	latency                *sketch.Sketch
	judge                  *foresail.Judge
}

// mean is weighted by time.
type mean struct{ sum, weight float64 }

func (m *mean) add(v, w float64) { m.sum += v * w; m.weight += w }

func (m *mean) value() *float64 {
	if m.weight <= 0 {
		return nil
	}
	return ptr(cli.Round(m.sum / m.weight))
}

// NewSummary begins a summary; hold is how late requests may become known, see foresail.Judge.
func New(app *foresail.App, hold time.Duration) *Summary {
	s := &Summary{hold: hold, fallbacks: map[string]int{}}
	s.follow(app)
	return s
}

// follow takes in the endpoints that an application has gained.
func (s *Summary) follow(app *foresail.App) {
	s.app = app
	for i := len(s.endpoints); i < len(app.Endpoints); i++ {
		sum := endpointSum{latency: sketch.New()}
		if o := app.Endpoints[i].Objective; o != nil {
			sum.judge = foresail.NewJudge(foresail.EndpointID(i), *o)
			sum.judge.Hold = s.hold
		}
		s.endpoints = append(s.endpoints, sum)
	}
}

// Events let it see what the loop does.
func (s *Summary) Events() loop.Events {
	return loop.Events{
		Observed: func(h *foresail.History, snap *foresail.Snapshot) { s.observe(h.App(), snap) },
		Decided:  s.decided,
	}
}

func (s *Summary) observe(app *foresail.App, snap *foresail.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if app != s.app {
		s.follow(app)
	}
	s.beats++
	if snap.Stale {
		s.stale++
	}
	s.dropped += snap.Dropped
	for i := range s.endpoints {
		e := &s.endpoints[i]
		if e.judge != nil {
			e.judge.Add(snap)
		}
		e.count(snap, i)
		for _, late := range snap.Late {
			e.count(late, i)
		}
	}
	s.resources(snap)
}

func (e *endpointSum) count(snap *foresail.Snapshot, i int) {
	if !snap.Has.Has(foresail.SignalEndpoints) || i >= len(snap.Endpoints) {
		return
	}
	seen := &snap.Endpoints[i]
	e.requests += seen.Requests
	e.errors += seen.Errors
	e.late += seen.Late
	e.latency.Merge(seen.Latency)
}

func (s *Summary) resources(snap *foresail.Snapshot) {
	w := snap.Duration().Seconds()
	t := snap.Totals()
	s.seconds += w
	if t.Held {
		s.cores.add(t.Cores, w)
		s.replicas.add(t.Replicas, w)
	}
	if t.Known {
		s.used.add(t.Used, w)
	}
}

func (s *Summary) decided(d loop.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.Err != nil && d.Applied {
		s.applyErr = d.Err
	}
	if d.Plan == nil {
		return
	}
	if why := d.Plan.Fallback; why != "" {
		if _, known := s.fallbacks[why]; !known && len(s.fallbacks) >= maxReasons {
			why = "other reasons"
		}
		s.fallbacks[why]++
	}
	s.changes += len(d.Changed())
}

// End judges what is still held back, when nothing more is to come.
func (s *Summary) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.endpoints {
		if j := s.endpoints[i].judge; j != nil {
			j.Flush()
		}
	}
}

// Requests are those of all endpoints.
func (s *Summary) Requests() (n float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.endpoints {
		n += s.endpoints[i].requests
	}
	return n
}

// Rows are the results so far, one for each endpoint.
func (s *Summary) Rows() []row {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]row, 0, len(s.endpoints))
	for i := range s.endpoints {
		e := &s.endpoints[i]
		r := row{
			Application: s.app.Name, Endpoint: s.app.Endpoints[i].Name,
			Requests: e.requests, Errors: e.errors,
			P50: Quantile(e.latency, 0.5), P95: Quantile(e.latency, 0.95), P99: Quantile(e.latency, 0.99),
			CoresMean: s.cores.value(), CoresUsedMean: s.used.value(), ReplicasMean: s.replicas.value(),
			PlanChanges: s.changes, Observed: cli.Round(s.seconds),
		}
		if o := s.app.Endpoints[i].Objective; o != nil {
			r.Objective = ptr(ms(o.Latency))
			r.Percentile = ptr(o.Percentile)
			if e.requests >= float64(o.MinRequestsOrDefault()) { // of fewer, a percentile says little
				r.Met = ptr(e.late <= e.requests*o.Allowed()*(1+1e-9))
			}
			if e.judge.Windows > 0 {
				r.ViolationShare = ptr(e.judge.ViolationShare())
				r.Windows = ptr(e.judge.Windows)
			}
		}
		out = append(out, r)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Quantile is in milliseconds; absent when nothing was seen.
func Quantile(s *sketch.Sketch, q float64) *float64 {
	v := s.Quantile(q) * 1000
	if math.IsNaN(v) {
		return nil
	}
	return ptr(cli.Round(v))
}

// Print writes the rows as a table for people, with a line on what the run took.
func (s *Summary) Print(w io.Writer) error {
	head := []string{"endpoint", "requests", "errors", "p50 ms", "p95 ms", "p99 ms", "objective", "met", "violations"}
	var cells [][]string
	for i, r := range s.Rows() {
		objective, met := "—", "—"
		if o := s.app.Endpoints[i].Objective; o != nil {
			objective = o.String()
		}
		if r.Met != nil {
			met = map[bool]string{true: "yes", false: "NO"}[*r.Met]
		}
		violations := "—"
		if r.ViolationShare != nil {
			violations = fmt.Sprintf("%.1f %% of %d", *r.ViolationShare*100, *r.Windows)
		}
		cells = append(cells, []string{r.Endpoint, fmt.Sprintf("%.0f", r.Requests), fmt.Sprintf("%.0f", r.Errors),
			cli.Opt("%.1f", r.P50), cli.Opt("%.1f", r.P95), cli.Opt("%.1f", r.P99), objective, met, violations})
	}
	if err := cli.Table(w, head, cells); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := fmt.Fprintf(w, "\n%s: %s observed; mean cores %s allocated, %s used; mean replicas %s; %d plan changes\n",
		s.app.Name, time.Duration(s.seconds*float64(time.Second)).Round(time.Second), cli.Opt("%.2f", s.cores.value()),
		cli.Opt("%.2f", s.used.value()), cli.Opt("%.1f", s.replicas.value()), s.changes)
	if s.stale > 0 {
		fmt.Fprintf(w, "nothing was observed in %d of %d intervals\n", s.stale, s.beats)
	}
	for _, reason := range slices.Sorted(maps.Keys(s.fallbacks)) {
		fmt.Fprintf(w, "the baseline decided %d times: %s\n", s.fallbacks[reason], reason)
	}
	if s.applyErr != nil {
		fmt.Fprintf(w, "last failure to apply: %v\n", s.applyErr)
	}
	return err
}
