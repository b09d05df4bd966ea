package loop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const beat = foresail.Beat

func testApp() *foresail.App {
	return &foresail.App{Name: "shop", Services: []foresail.Service{{
		Name:    "front",
		Initial: foresail.Allocation{Replicas: 1, CPU: 1},
		Bounds:  foresail.Bounds{MinReplicas: 1, MaxReplicas: 8, MinCPU: 0.1, MaxCPU: 4},
	}}}
}

// script is a cluster made of steps: what each Next returns. Apply is noted, and answered by applyErr.
type script struct {
	app      *foresail.App
	steps    []func() (*foresail.Snapshot, error)
	applied  []*foresail.Plan
	applyErr error
}

func (c *script) App() *foresail.App { return c.app }

func (c *script) Next(ctx context.Context) (*foresail.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(c.steps) == 0 {
		return nil, io.EOF
	}
	s := c.steps[0]
	c.steps = c.steps[1:]
	return s()
}

func (c *script) Apply(_ context.Context, p *foresail.Plan) error {
	c.applied = append(c.applied, p)
	return c.applyErr
}

// beats appends n intervals of length d from an offset on, carrying the given signals.
func (c *script) beats(from, d time.Duration, n int, has foresail.Signals) *script {
	for i := range n {
		start := epoch.Add(from + time.Duration(i)*d)
		c.steps = append(c.steps, func() (*foresail.Snapshot, error) {
			return &foresail.Snapshot{Start: start, End: start.Add(d), Stale: has == 0, Services: []foresail.ServiceStats{{
				Usage:      foresail.Usage{Has: has, CPU: 0.05, Ready: 1},
				Allocation: foresail.Allocation{Replicas: 1, CPU: 1},
			}}}, nil
		})
	}
	return c
}

func (c *script) then(f func() (*foresail.Snapshot, error)) *script {
	c.steps = append(c.steps, f)
	return c
}

const usual = foresail.SignalCPU | foresail.SignalAllocation | foresail.SignalReady

// manager decides by a function.
type manager struct {
	name   string
	needs  foresail.Needs
	decide func(h *foresail.History) (*foresail.Plan, error)
	state  string
}

func (m *manager) Name() string          { return m.name }
func (m *manager) Needs() foresail.Needs { return m.needs }
func (m *manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	return m.decide(h)
}

type stateful struct{ *manager }

func (m stateful) Save() ([]byte, error) { return []byte(m.state), nil }
func (m stateful) Restore(b []byte) error {
	if string(b) == "bad" {
		return errors.New("bad state")
	}
	m.state = string(b)
	return nil
}

func raise(h *foresail.History) (*foresail.Plan, error) {
	return &foresail.Plan{At: h.Now(), Manager: "m", Changes: []foresail.Change{{To: foresail.Allocation{Replicas: 2, CPU: 1}}}}, nil
}

func each(d time.Duration) *manager {
	return &manager{name: "m", needs: foresail.Needs{Every: d, Required: foresail.SignalCPU}, decide: raise}
}

// record writes down what the loop tells, as offsets from the epoch.
type record struct{ lines []string }

func (r *record) events() loop.Events {
	return loop.Events{
		Decided: func(d loop.Decision) {
			changes := 0
			if d.Plan != nil {
				changes = len(d.Plan.Changes)
			}
			r.add("%v decided: %d changes, applied %v, err %v", d.At.Sub(epoch), changes, d.Applied, d.Err)
		},
		Missing: func(s foresail.Signals) { r.add("missing %v", s) },
		Trouble: func(err error) { r.add("trouble: %v", err) },
	}
}

func (r *record) add(format string, a ...any) { r.lines = append(r.lines, fmt.Sprintf(format, a...)) }

func (r *record) want(t *testing.T, want ...string) {
	t.Helper()
	got := strings.Join(r.lines, "\n")
	if got != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func run(t *testing.T, c foresail.Cluster, m foresail.Manager, o loop.Options) *record {
	t.Helper()
	r := &record{}
	o.Events = r.events()
	if err := loop.Run(t.Context(), c, m, o); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDecisionsFollowTheSnapshotsOwnTime(t *testing.T) {
	c := (&script{app: testApp()}).beats(0, beat, 25, usual)
	run(t, c, each(time.Second), loop.Options{Mode: loop.Auto}).want(t,
		"1s decided: 1 changes, applied true, err <nil>",
		"2s decided: 1 changes, applied true, err <nil>")
	if len(c.applied) != 2 {
		t.Errorf("applied %d plans, want 2", len(c.applied))
	}
}

func TestASlowSourceIsDecidedOnEachTimeItReports(t *testing.T) {
	c := (&script{app: testApp()}).beats(0, 15*time.Second, 3, usual)
	run(t, c, each(time.Second), loop.Options{Mode: loop.Recommend}).want(t,
		"15s decided: 1 changes, applied false, err <nil>",
		"30s decided: 1 changes, applied false, err <nil>",
		"45s decided: 1 changes, applied false, err <nil>")
}

func TestAGapIsNotMadeUpForAndAJumpBackWaitsAnInterval(t *testing.T) {
	c := (&script{app: testApp()}).
		beats(0, beat, 10, usual).
		beats(time.Hour, beat, 12, usual). // the clock was put forward by an hour
		beats(time.Minute, beat, 12, usual)
	run(t, c, each(time.Second), loop.Options{Mode: loop.Recommend}).want(t,
		"1s decided: 1 changes, applied false, err <nil>",
		"1h0m0.1s decided: 1 changes, applied false, err <nil>",
		"1h0m1s decided: 1 changes, applied false, err <nil>",
		"1m1s decided: 1 changes, applied false, err <nil>")
}

func TestObserveDecidesNothing(t *testing.T) {
	seen := 0
	c := (&script{app: testApp()}).beats(0, beat, 30, usual)
	m := each(time.Second)
	m.decide = func(*foresail.History) (*foresail.Plan, error) { t.Error("asked"); return nil, nil }
	err := loop.Run(t.Context(), c, m, loop.Options{Events: loop.Events{
		Observed: func(h *foresail.History, s *foresail.Snapshot) {
			seen++
			if h.Last() != s {
				t.Error("told before it was in the history")
			}
		},
	}})
	if err != nil || seen != 30 {
		t.Errorf("saw %d snapshots, err %v; want 30", seen, err)
	}
}

func TestErrorsOfDecideAndApplyAreRecordedAndTheLoopGoesOn(t *testing.T) {
	n := 0
	m := each(time.Second)
	m.decide = func(h *foresail.History) (*foresail.Plan, error) {
		switch n++; n {
		case 1:
			return nil, foresail.ErrNoModel
		case 2:
			panic("boom")
		case 3:
			return nil, nil
		default:
			return raise(h)
		}
	}
	c := (&script{app: testApp(), applyErr: errors.New("no room")}).beats(0, beat, 40, usual)
	run(t, c, m, loop.Options{Mode: loop.Auto}).want(t,
		"1s decided: 0 changes, applied false, err m: no model",
		"2s decided: 0 changes, applied false, err m: panic: boom",
		"3s decided: 0 changes, applied false, err <nil>",
		"4s decided: 1 changes, applied true, err applying the plan of m: no room")
}

func TestAnErrorOfNextEndsTheLoopAndSaysWhere(t *testing.T) {
	lost := errors.New("connection lost")
	c := (&script{app: testApp()}).beats(0, beat, 3, usual).then(func() (*foresail.Snapshot, error) { return nil, lost })
	err := loop.Run(t.Context(), c, each(time.Second), loop.Options{})
	if !errors.Is(err, lost) || err.Error() != "observing shop after 2026-03-01T12:00:00.3Z: connection lost" {
		t.Errorf("got %v", err)
	}
}

func TestCancellingEndsTheLoopWithoutAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := (&script{app: testApp()}).beats(0, beat, 5, usual).then(func() (*foresail.Snapshot, error) {
		cancel()
		return nil, ctx.Err()
	})
	if err := loop.Run(ctx, c, each(time.Second), loop.Options{}); err != nil {
		t.Error(err)
	}
}

func TestMissingSignalsAreNamedBeforeTheFirstDecisionAndOnce(t *testing.T) {
	m := each(time.Second)
	m.needs.Required = foresail.SignalCPU | foresail.SignalLatency | foresail.SignalEdges
	c := (&script{app: testApp()}).
		beats(0, beat, 20, usual).                               // no latency, no edges
		beats(2*time.Second, beat, 10, 0).                       // silence tells nothing about what can be given
		beats(3*time.Second, beat, 10, usual^foresail.SignalCPU) // now CPU is gone too
	run(t, c, m, loop.Options{Mode: loop.Recommend}).want(t,
		"missing latency, edges",
		"1s decided: 1 changes, applied false, err <nil>",
		"2s decided: 1 changes, applied false, err <nil>",
		"3s decided: 1 changes, applied false, err <nil>",
		"missing cpu, latency, edges",
		"4s decided: 1 changes, applied false, err <nil>")
}

func TestASignalThatComesEachSecondIsNotMissingInBetween(t *testing.T) {
	m := each(beat)
	c := &script{app: testApp()}
	for i := range 40 {
		has := foresail.SignalAllocation
		if i%10 == 0 {
			has |= foresail.SignalCPU
		}
		c.beats(time.Duration(i)*beat, beat, 1, has)
	}
	for _, l := range run(t, c, m, loop.Options{Mode: loop.Recommend}).lines {
		if strings.HasPrefix(l, "missing") {
			t.Error(l)
		}
	}
}

func TestANewGenerationReachesTheManager(t *testing.T) {
	c := (&script{app: testApp()}).beats(0, beat, 10, usual)
	next := testApp()
	next.Generation = 1
	next.Services = append(next.Services, foresail.Service{Name: "cart"})
	c.then(func() (*foresail.Snapshot, error) {
		c.app = next
		return &foresail.Snapshot{Start: epoch.Add(time.Second), End: epoch.Add(2 * time.Second), Generation: 1}, nil
	})
	var services []int
	m := each(time.Second)
	m.decide = func(h *foresail.History) (*foresail.Plan, error) {
		services = append(services, len(h.App().Services))
		return nil, nil
	}
	var before []int
	err := loop.Run(t.Context(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Decided: func(d loop.Decision) { before = append(before, len(d.Before)) },
	}})
	if err != nil || fmt.Sprint(services, before) != "[1 2] [1 2]" {
		t.Errorf("services %v, before %v, err %v", services, before, err)
	}
}

func TestAManagerIsSwappedBetweenDecisions(t *testing.T) {
	var swap loop.Swap
	longer := each(500 * time.Millisecond)
	longer.name, longer.needs.Beats = "longer", 20
	longer.decide = func(h *foresail.History) (*foresail.Plan, error) {
		return &foresail.Plan{Manager: fmt.Sprintf("longer sees %d beats", len(h.Beats(20)))}, nil
	}
	c := (&script{app: testApp()}).beats(0, beat, 30, usual)
	var who []string
	err := loop.Run(t.Context(), c, each(time.Second), loop.Options{Mode: loop.Recommend, Swap: &swap, Events: loop.Events{
		Decided: func(d loop.Decision) {
			who = append(who, fmt.Sprint(d.At.Sub(epoch), " ", d.Plan.Manager))
			if len(who) == 1 {
				swap.To(longer)
			}
		},
	}})
	// The history was one beat long; it grows from the swap on.
	want := "1s m|1.5s longer sees 5 beats|2s longer sees 10 beats|2.5s longer sees 15 beats|3s longer sees 20 beats"
	if got := strings.Join(who, "|"); err != nil || got != want {
		t.Errorf("got %s, err %v", got, err)
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	file := loop.File(filepath.Join(t.TempDir(), "state.json"))
	first := stateful{each(time.Second)}
	first.manager.decide = func(h *foresail.History) (*foresail.Plan, error) {
		first.manager.state = "learnt at " + h.Now().Format(time.TimeOnly)
		return nil, nil
	}
	run(t, (&script{app: testApp()}).beats(0, beat, 20, usual), first, loop.Options{Mode: loop.Auto, State: file}).want(t,
		"1s decided: 0 changes, applied false, err <nil>", "2s decided: 0 changes, applied false, err <nil>")

	second := stateful{each(time.Second)}
	run(t, &script{app: testApp()}, second, loop.Options{Mode: loop.Auto, State: file}).want(t)
	if second.state != "learnt at 12:00:02" {
		t.Errorf("restored %q", second.state)
	}

	other := stateful{each(time.Second)}
	other.manager.name = "other"
	run(t, &script{app: testApp()}, other, loop.Options{Mode: loop.Auto, State: file}).want(t,
		"trouble: the kept state is of m for shop, not of other for shop; it starts without")
	entries, _ := os.ReadDir(filepath.Dir(string(file)))
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// fullDisk keeps nothing.
type fullDisk struct{ load []byte }

func (d fullDisk) Load() ([]byte, error) { return d.load, nil }
func (fullDisk) Save([]byte) error       { return errors.New("no space left on device") }

func TestAFullDiskAndABadStateAreToldAndNotFatal(t *testing.T) {
	m := stateful{each(time.Minute)}
	c := (&script{app: testApp()}).beats(0, time.Second, 61, usual)
	run(t, c, m, loop.Options{Mode: loop.Auto, State: fullDisk{[]byte("{")}}).want(t,
		"trouble: reading the state of m: unexpected end of JSON input; it starts without",
		"1m0s decided: 1 changes, applied true, err <nil>",
		"trouble: keeping the state of m: no space left on device",
		"trouble: keeping the state of m: no space left on device")
	bad := fullDisk{[]byte(`{"application":"shop","manager":"m","state":"YmFk"}`)}
	run(t, &script{app: testApp()}, m, loop.Options{Mode: loop.Recommend, State: bad}).want(t,
		"trouble: restoring the state of m: bad state; it starts without",
		"trouble: keeping the state of m: no space left on device")
}

func TestFileKeepsTheOldStateWhenItCannotWrite(t *testing.T) {
	dir := t.TempDir()
	f := loop.File(filepath.Join(dir, "missing", "state.json"))
	if b, err := f.Load(); b != nil || err != nil {
		t.Errorf("no file: %v %v", b, err)
	}
	if err := f.Save([]byte("x")); err == nil {
		t.Error("saved into a folder that is not there")
	}
	taken := filepath.Join(dir, "taken")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := loop.File(taken).Save([]byte("x")); err == nil {
		t.Error("saved over a folder")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestModesHaveNames(t *testing.T) {
	for _, m := range []loop.Mode{loop.Observe, loop.Recommend, loop.Auto} {
		if got, err := loop.ParseMode(m.String()); got != m || err != nil {
			t.Errorf("%v reads back as %v, %v", m, got, err)
		}
	}
	if _, err := loop.ParseMode("automatic"); err == nil || !strings.Contains(err.Error(), "observe, recommend or auto") {
		t.Errorf("got %v", err)
	}
}

func TestJoinedEventsAreToldInTurn(t *testing.T) {
	a, b := &record{}, &record{}
	joined := loop.Join(a.events(), loop.Events{}, b.events())
	joined.Observed(nil, nil) // nobody listens
	joined.Decided(loop.Decision{At: epoch})
	joined.Missing(foresail.SignalCPU)
	joined.Trouble(errors.New("full"))
	for _, r := range []*record{a, b} {
		r.want(t, "0s decided: 0 changes, applied false, err <nil>", "missing cpu", "trouble: full")
	}
}

func TestModesAreTextInFiles(t *testing.T) {
	var m loop.Mode
	if err := m.UnmarshalText([]byte("recommend")); err != nil || m != loop.Recommend {
		t.Errorf("%v %v", m, err)
	}
	if err := m.UnmarshalText([]byte("")); err == nil {
		t.Error("no mode was accepted")
	}
}

// The manager's first decision sees what was observed before; what can't be read is told, and the loop goes on.
func TestWhatIsRecalledIsInTheHistory(t *testing.T) {
	minutes := 0
	m := each(time.Second)
	m.needs.Minutes = 5
	m.decide = func(h *foresail.History) (*foresail.Plan, error) {
		minutes = len(h.Minutes(9))
		return nil, nil
	}
	got := run(t, (&script{app: testApp()}).beats(0, time.Second, 2, 0), m, loop.Options{Mode: loop.Auto,
		Recall: func(n foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
			return func(yield func(*foresail.Snapshot, error) bool) {
				for i := n.Minutes - 1; i > 0; i-- {
					if !yield(&foresail.Snapshot{Start: epoch.Add(-time.Duration(i+1) * time.Minute), End: epoch.Add(-time.Duration(i) * time.Minute)}, nil) {
						return
					}
				}
				yield(nil, errors.New("damaged"))
			}
		}})
	if minutes != 4 || !strings.HasPrefix(got.lines[0], "trouble: what was observed before: damaged") {
		t.Errorf("%d minutes: %q", minutes, got.lines)
	}
}
