package neighbours

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/load"
	"foresail.dev/model/diagnose/locate"
	"foresail.dev/model/diagnose/resource"
	"foresail.dev/telemetry/agent"
	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/identity"
	"foresail.dev/telemetry/agent/report"
	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"
)

// Setup is the testbed that an experiment wants.
type Setup struct {
	Blueprint *foresail.Blueprint
	Load      *load.Load
	Seed      uint64
	Log       io.Writer
}

// Bed is a testbed that runs.
type Bed interface {
	foresail.Cluster
	Agents() string // where agents report
	Stop() error
}

// Start starts a testbed.
type Start func(context.Context, Setup) (Bed, error)

// Row is how one case went.
type Row struct {
	Neighbour Kind    `json:"neighbour"`
	Beside    string  `json:"beside"`
	Runs      int     `json:"runs"`
	Located   int     `json:"located"` // runs in which the service was the first suspect; without a neighbour: in which there was no finding
	Named     int     `json:"named"`   // of those, in which its first finding was the resource
	Slower    float64 `json:"slower"`  // the service's mean latency with the neighbour, over that without: median of runs
}

// Run is one run.
type Run struct {
	Neighbour Kind               `json:"neighbour"`
	Beside    string             `json:"beside"`
	Slower    float64            `json:"slower"`
	Suspects  []Suspect          `json:"suspects"`
	Felt      map[string]float64 `json:"felt,omitempty"`        // by gauges
	Missing   []string           `json:"unavailable,omitempty"` // of the first suspect
}

// Suspect is a service in its place with what holds it up.
type Suspect struct {
	Service  string             `json:"service"`
	Score    float64            `json:"score"`
	Resource *resource.Resource `json:"resource,omitempty"`
	Share    float64            `json:"share,omitempty"`
	Evidence string             `json:"evidence,omitempty"`
	Action   string             `json:"action,omitempty"`
}

// Result is the rows and what does not fit in them.
type Result struct {
	Rows []Row
	Runs []Run
}

// node is what the one node of an experiment is called.
const node = "localhost"

// bench is a testbed with an agent, whose snapshots are kept.
type bench struct {
	f       *File
	bed     Bed
	dir     string   // of a neighbour's files
	command []string // this program
	cpus    [2]int   // of everything, and of the service that has a neighbour
	groups  string   // the directory of the application's control groups

	mu      sync.Mutex
	history *foresail.History
	err     error
}

// Measure runs an experiment.
func Measure(ctx context.Context, f *File, start Start, progress func(done float64, what string), log io.Writer) (_ *Result, err error) {
	two, err := cpus()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "foresail-neighbours-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	progress(0, "starting the application")
	bed, err := start(ctx, Setup{f.Blueprint, f.Users, f.Seed, log})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	b := &bench{f: f, bed: bed, dir: dir, command: []string{"/proc/self/exe"}, cpus: two}
	b.history = foresail.NewHistory(bed.App(), foresail.Needs{Every: foresail.Beat, Beats: int((f.Well + f.Ill + 2*f.Settle + time.Minute) / foresail.Beat)})
	var wait sync.WaitGroup
	defer func() {
		stop()
		err = errors.Join(err, bed.Stop())
		wait.Wait()
	}()
	mounts, err := cgroup.ReadMounts("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	at, _ := mounts.Where("cpu")
	root := fmt.Sprintf("foresail-%d", os.Getpid())
	b.groups = filepath.Join(at, root)
	sampler, err := watch(ctx, root, bed.Agents(), &wait)
	if err != nil {
		return nil, err
	}
	defer sampler.Close()
	wait.Go(func() { b.follow(ctx) })
	return b.all(ctx, progress)
}

// cpus are two that this process may use.
func cpus() (two [2]int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return two, err
	}
	n := 0
	for i := 0; i < 1024 && n < 2; i++ {
		if set.IsSet(i) {
			two[n] = i
			n++
		}
	}
	if n < 2 {
		return two, errors.New("there is one CPU: a service and its neighbour need one, and everything else another")
	}
	return two, nil
}

// watch starts an agent for this application's control groups.
func watch(ctx context.Context, root, to string, wait *sync.WaitGroup) (*agent.Sampler, error) {
	rules, err := identity.Compile([]identity.Rule{{Cgroup: "^/" + regexp.QuoteMeta(root) + "/((.+)-[0-9]+)$", Service: "$2", Replica: "$1"}})
	if err != nil {
		return nil, err
	}
	s, err := agent.NewSampler(agent.Config{Rules: rules})
	if err != nil {
		return nil, err
	}
	ring := report.NewRing()
	hello := wire.Hello{Node: node, Instance: rand.Uint64(), Cores: uint32(runtime.NumCPU()), Memory: s.Memory(), Notes: s.Notes()}
	var agents sync.WaitGroup
	agents.Go(func() { _ = report.Run(ctx, report.Config{Daemon: frames.Daemon{Address: to}, Hello: hello}, ring) }) // that nothing came is seen in snapshots
	agents.Go(func() { agent.Run(ctx, s, ring) })
	wait.Go(agents.Wait)
	return s, nil
}

// follow keeps what is observed.
func (b *bench) follow(ctx context.Context) {
	for {
		s, err := b.bed.Next(ctx)
		b.mu.Lock()
		if err != nil {
			b.err = err
			b.mu.Unlock()
			return
		}
		b.history.Add(s)
		b.mu.Unlock()
	}
}

// between are the snapshots of a stretch.
func (b *bench) between(s [2]time.Time) (out []*foresail.Snapshot, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.history.Beats(foresail.MaxBeats) {
		if !p.Start.Before(s[0]) && !p.End.After(s[1]) {
			out = append(out, p)
		}
	}
	return out, b.err
}

// all does all runs of all cases: one of each case after the other, so that a machine that changes changes for all.
func (b *bench) all(ctx context.Context, progress func(float64, string)) (*Result, error) {
	progress(0, "warming up")
	if err := wait(ctx, b.f.Warm); err != nil {
		return nil, err
	}
	r := &Result{}
	for n := range b.f.Runs {
		for i, c := range b.f.Cases {
			progress(float64(n*len(b.f.Cases)+i)/float64(b.f.Runs*len(b.f.Cases)), fmt.Sprintf("run %d, %s beside %s", n+1, c.Neighbour, c.Beside))
			run, err := b.one(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("run %d, %s beside %s: %w", n+1, c.Neighbour, c.Beside, err)
			}
			r.Runs = append(r.Runs, *run)
		}
	}
	r.Rows = rows(b.f.Cases, r.Runs)
	return r, nil
}

// late is how long after an interval all is known of it.
const late = 1500 * time.Millisecond

// one is one run.
func (b *bench) one(ctx context.Context, c Case) (_ *Run, err error) {
	if err := b.place(c.Beside); err != nil {
		return nil, err
	}
	g, err := startGauges(b.cpus[1])
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := wait(ctx, b.f.Settle); err != nil {
		return nil, err
	}
	well, err := stretch(ctx, b.f.Well)
	if err != nil {
		return nil, err
	}
	n, err := begin(b.command, c.Neighbour, b.dir, b.cpus[1])
	if err != nil {
		return nil, err
	}
	var ill [2]time.Time
	if err = wait(ctx, b.f.Settle); err == nil {
		ill, err = stretch(ctx, b.f.Ill)
	}
	if err = errors.Join(err, n.end()); err != nil {
		return nil, err
	}
	if err := wait(ctx, late); err != nil {
		return nil, err
	}
	before, err := b.between(well)
	if err != nil {
		return nil, err
	}
	now, err := b.between(ill)
	if err != nil {
		return nil, err
	}
	felt := g.felt(node, well, ill)
	return diagnose(b.bed.App(), c, before, now, felt)
}

// diagnose says who is to blame, without being told of the case more than what it counts.
func diagnose(app *foresail.App, c Case, before, now []*foresail.Snapshot, felt []resource.Felt) (*Run, error) {
	found, err := locate.Find(app, before, now, locate.Config{Resource: resource.Config{Felt: felt}})
	if err != nil {
		return nil, err
	}
	run := &Run{Neighbour: c.Neighbour, Beside: c.Beside, Suspects: []Suspect{}, Felt: map[string]float64{}}
	for _, f := range felt {
		run.Felt[f.Resource.String()] = max(run.Felt[f.Resource.String()], cli.Round(f.Rise))
	}
	for i, s := range found {
		x := Suspect{Service: app.Services[s.Service].Name, Score: cli.Round(s.Score)}
		if len(s.Diagnosis.Findings) > 0 {
			f := s.Diagnosis.Findings[0]
			x.Resource, x.Share, x.Evidence, x.Action = &f.Resource, cli.Round(f.Share), f.Evidence, f.Action
		}
		if i == 0 {
			run.Missing = s.Diagnosis.Unavailable
		}
		run.Suspects = append(run.Suspects, x)
	}
	id, _ := app.ServiceByName(c.Beside)
	mean := func(parts []*foresail.Snapshot) float64 {
		s := foresail.Merge(parts...)
		if s == nil || int(id) >= len(s.Services) || s.Services[id].Latency == nil || s.Services[id].Latency.Count() <= 0 {
			return 0
		}
		return s.Services[id].Latency.Mean()
	}
	if was := mean(before); was > 0 {
		run.Slower = cli.Round(mean(now) / was)
	}
	return run, nil
}

// place puts the replicas of a service on a CPU of their own, and all others on the other.
func (b *bench) place(service string) error {
	entries, err := os.ReadDir(b.groups)
	if err != nil {
		return err
	}
	placed := 0
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		all, err := pids(filepath.Join(b.groups, e.Name()))
		if err != nil {
			return err
		}
		cpu := b.cpus[0]
		if at := strings.LastIndexByte(e.Name(), '-'); at > 0 && e.Name()[:at] == service {
			cpu = b.cpus[1]
			placed += len(all)
		}
		for _, pid := range all {
			if err := keep(pid, cpu); err != nil {
				return err
			}
		}
	}
	if placed == 0 {
		return fmt.Errorf("no process of %s was found in %s", service, b.groups)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stretch waits for some time, and says which that was.
func stretch(ctx context.Context, d time.Duration) (s [2]time.Time, err error) {
	s[0] = time.Now()
	err = wait(ctx, d)
	s[1] = time.Now()
	return s, err
}
