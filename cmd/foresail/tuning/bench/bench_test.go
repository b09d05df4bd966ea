package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/sketch"
)

// script is a cluster that says what it is told to.
type script struct {
	app     *foresail.App
	at      time.Time
	refuse  error
	pending int // snapshots in which what was asked for is not there yet
	errors  float64
	requests,
	latency float64
	applied []foresail.Plan
	stopped int
}

func (s *script) App() *foresail.App { return s.app }
func (s *script) Stop() error        { s.stopped++; return nil }

func (s *script) Apply(_ context.Context, p *foresail.Plan) error {
	s.applied = append(s.applied, *p)
	if s.refuse != nil && len(p.Changes) > 0 {
		return &foresail.ApplyError{Failed: map[foresail.ServiceID]error{p.Changes[0].Service: s.refuse}}
	}
	return nil
}

func (s *script) Next(ctx context.Context) (*foresail.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	start := s.at
	s.at = s.at.Add(time.Second)
	out := &foresail.Snapshot{Start: start, End: s.at, Has: foresail.SignalEndpoints, Services: make([]foresail.ServiceStats, len(s.app.Services)), Endpoints: make([]foresail.EndpointStats, len(s.app.Endpoints))}
	if s.pending > 0 {
		s.pending--
		out.Services[0].Pending = &foresail.Allocation{}
	}
	e := &out.Endpoints[0]
	e.Requests, e.Errors, e.Latency = s.requests, s.errors, sketch.New()
	e.Latency.AddN(s.latency, s.requests-s.errors)
	out.Services[0].Latency = e.Latency
	return out, nil
}

func hotel(t testing.TB) *foresail.Blueprint {
	t.Helper()
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	return bp
}

func scripted(t *testing.T, s *script, more func(*Config)) *Bench {
	t.Helper()
	bp := hotel(t)
	s.app = bp.App
	c := Config{Blueprint: bp, Load: &load.Load{}, Percentile: 90, Percentiles: []float64{90}, Settle: 5 * time.Second, Warmup: 2 * time.Second,
		Duration: 4 * time.Second, Errors: 0.2, Silent: 3 * time.Second, Timeout: time.Second, Every: time.Second,
		Start: func(context.Context, *foresail.Blueprint, *load.Load, uint64, map[foresail.ServiceID]Process) (Cluster, error) {
			return s, nil
		}}
	if more != nil {
		more(&c)
	}
	return New(c)
}

// What goes wrong in a trial is told for what it is: a cluster that refuses, one that never gets there, one that breaks, one that
// nobody reaches any more, and an objective that is missed.
func TestWhatGoesWrongIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		s               script
		more            func(*Config)
		refused, broken string
		missed          string
	}{
		"fine":     {s: script{requests: 100, latency: 0.01}},
		"late":     {s: script{requests: 100, latency: 0.3}, missed: "search misses p99 < 200ms"},
		"refusing": {s: script{requests: 100, latency: 0.01, refuse: errors.New("no")}, refused: "frontend: no"},
		"slow":     {s: script{requests: 100, latency: 0.01, pending: 99}, refused: "frontend has not come"},
		"settling": {s: script{requests: 100, latency: 0.01, pending: 3}},
		"failing":  {s: script{requests: 100, errors: 50, latency: 0.01}, broken: "50 of 100 requests failed"},
		"a few":    {s: script{requests: 100, errors: 5, latency: 0.01}, missed: "search misses p99"},
		"silent":   {s: script{}, broken: "no request was answered for 3s"},
		"idle":     {s: script{requests: 1, latency: 0.01}, broken: "only 4 requests"},
		"sick":     {s: script{requests: 100, latency: 0.01}, more: func(c *Config) { c.Health = []string{"sh", "-c", "echo ill >&2; exit 3"} }, broken: "ill"},
		"hanging":  {s: script{requests: 100, latency: 0.01}, more: func(c *Config) { c.Health, c.Timeout = []string{"sleep", "100"}, 10*time.Millisecond }, broken: "longer than 10ms"},
	} {
		t.Run(name, func(t *testing.T) {
			b := scripted(t, &c.s, c.more)
			err := b.Set(context.Background(), map[string]string{"frontend:cpu": "1"}, 1)
			var refused *Refusal
			if errors.As(err, &refused) != (c.refused != "") || c.refused != "" && !strings.Contains(err.Error(), c.refused) || err != nil && refused == nil {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			out, err := b.Measure(context.Background())
			if err != nil || !strings.Contains(out.Broken, c.broken) || (out.Broken == "") != (c.broken == "") || out.Broken == "" && out.Missed != "" != (c.missed != "") || !strings.Contains(out.Missed, c.missed) {
				t.Errorf("%+v: %v", out, err)
			}
		})
	}
}

// A cluster is started once, and again only for what its processes must be told at their start.
func TestProcessesRestartForTheirOwnKnobsAlone(t *testing.T) {
	s := &script{requests: 100, latency: 0.01}
	started := 0
	b := scripted(t, s, func(c *Config) {
		start := c.Start
		c.Start = func(ctx context.Context, bp *foresail.Blueprint, l *load.Load, seed uint64, p map[foresail.ServiceID]Process) (Cluster, error) {
			started++
			if w := bp.Services[0].Workers; started == 2 && (w != 7 || p[0].GCPercent != 50) {
				t.Errorf("%d workers, %+v", w, p)
			}
			return start(ctx, bp, l, seed, p)
		}
	})
	for i, values := range []map[string]string{{"frontend:cpu": "1"}, {"frontend:cpu": "1.5"}, {"frontend:cpu": "1.5", "frontend:workers": "7", "frontend:gc_percent": "50"}} {
		if err := b.Set(context.Background(), values, 1); err != nil {
			t.Fatal(i, err)
		}
	}
	if started != 2 || s.stopped != 1 || s.applied[1].Changes[0].To.CPU != 1.5 {
		t.Errorf("%d starts, %d stops, %+v", started, s.stopped, s.applied)
	}
}

// Commands run when their knob changes, and are told the value; files are written whole, and then reloaded. One that fails is a
// refusal, and is done again when going back.
func TestCommandsAndFiles(t *testing.T) {
	dir := t.TempDir()
	conf, told := filepath.Join(dir, "app.conf"), filepath.Join(dir, "told")
	text := template.Must(template.New("t").Funcs(Functions(nil)).Parse(`size={{knob "frontend:size"}}`))
	b := scripted(t, &script{requests: 100, latency: 0.01}, func(c *Config) {
		c.Commands = []Command{{Label: "frontend:gear", Unit: "ms", Timeout: 5 * time.Second,
			Args: []string{"sh", "-c", `echo "$FORESAIL_SERVICE $FORESAIL_KNOB $FORESAIL_VALUE {value}" >> ` + told + `; test $FORESAIL_VALUE != 9ms`}}}
		c.Files = []Templated{{Template: text, To: conf, Reload: []string{"sh", "-c", "echo reload >> " + told}, Timeout: 5 * time.Second}}
	})
	ctx := context.Background()
	set := func(gear, size string) error {
		return b.Set(ctx, map[string]string{"frontend:gear": gear, "frontend:size": size}, 1)
	}
	var refused *Refusal
	if err := errors.Join(set("1", "a"), set("1", "a"), set("1", "b")); err != nil {
		t.Fatal(err)
	}
	if err := set("9", "b"); !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if err := set("1", "b"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(told)
	want := "frontend gear 1ms 1ms\nreload\nreload\nfrontend gear 9ms 9ms\nfrontend gear 1ms 1ms\n"
	if err != nil || string(got) != want {
		t.Errorf("told %q, should be %q: %v", got, want, err)
	}
	if now, err := os.ReadFile(conf); err != nil || string(now) != "size=b" {
		t.Errorf("%q: %v", now, err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".app.conf*"))
	if len(left) > 0 {
		t.Error("left over:", left)
	}
}

// In a simulation, half the workers, a larger cache and less CPU are what they say they are.
func TestKnobsOfSimulations(t *testing.T) {
	bp := hotel(t)
	id, _ := bp.App.ServiceByName("memcached-rate")
	if c := CacheOf(bp, id); c != 224<<20 {
		t.Errorf("the cache has %d bytes", c)
	}
	v := variant{"memcached-rate:cache": "939524096", "rate:workers": "32"} // four times as much
	out, _ := v.of(bp)
	rate, _ := bp.App.ServiceByName("rate")
	was, is := bp.Services[rate].Operations[0].Steps[0].Calls[0].Hit, out.Services[rate].Operations[0].Steps[0].Calls[0].Hit
	if was != 0.9 || is < 0.9499 || is > 0.9501 || out.Services[rate].Workers != 32 || bp.Services[rate].Workers != 64 {
		t.Errorf("hits %v and then %v, %d workers", was, is, out.Services[rate].Workers)
	}
	starved := func(cpu string) Outcome {
		b := scripted(t, &script{}, func(c *Config) {
			c.Blueprint, c.Warmup, c.Duration, c.Settle = bp, time.Second, 3*time.Second, time.Minute
			c.Load = &load.Load{Curve: []load.Segment{{From: 400}}}
			c.Start = func(_ context.Context, bp *foresail.Blueprint, l *load.Load, seed uint64, _ map[foresail.ServiceID]Process) (Cluster, error) {
				s, err := sim.New(sim.Config{Blueprint: bp, Load: l, Seed: seed})
				return stoppable{s}, err
			}
		})
		if err := b.Set(context.Background(), map[string]string{"geo:cpu": cpu}, 1); err != nil {
			t.Fatal(err)
		}
		out, err := b.Measure(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	full, short := starved("1.1"), starved("0.1")
	if full.Broken != "" || len(full.Calls) < 10 || !(short.Broken != "" || short.Latency > 2*full.Latency) || !(full.Metrics["geo:p90"] > 0) {
		t.Errorf("%+v\nand short of CPU %+v", full, short)
	}
}

type stoppable struct{ *sim.Cluster }

func (stoppable) Stop() error { return nil }

// The end of a run, and being told to stop, are errors and no outcome.
func TestStopping(t *testing.T) {
	b := scripted(t, &script{requests: 100, latency: 0.01}, nil)
	if err := b.Set(context.Background(), nil, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Measure(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b.cluster = ended{b.cluster}
	if _, err := b.Measure(context.Background()); err == nil || !strings.Contains(err.Error(), "run is over") {
		t.Error(err)
	}
}

type ended struct{ Cluster }

func (ended) Next(context.Context) (*foresail.Snapshot, error) { return nil, io.EOF }
