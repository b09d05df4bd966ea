package fidelity

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/load"
	"foresail.dev/sketch"
)

// Bed is a testbed that runs.
type Bed interface {
	Next(ctx context.Context) (*foresail.Snapshot, error)
	UsersCPU() time.Duration
	Summary() testbed.Summary
	Stop() error
}

// measured is what one run of an application showed, after its warm-up.
type measured struct {
	latency   []*sketch.Sketch // by endpoint
	requests  []float64
	errors    []float64
	cores     float64 // used by the application
	replicas  float64 // that it had, on average
	throttled float64 // share of the replicas' time
	users     float64 // cores of the load generator
	collector float64 // cores of this process, which takes the spans
	others    float64 // cores that everything else on the machine used
	load      float64 // the machine's load average when the run began
	behind    float64 // seconds that the generator was late at the end
	spans     float64 // of each second
}

// tally gathers snapshots whose interval begins at an instant or later.
type tally struct {
	from           time.Time
	m              measured
	seconds        float64
	replicaSeconds float64
}

func newTally(app *foresail.App, from time.Time) *tally {
	t := &tally{from: from}
	for range app.Endpoints {
		t.m.latency = append(t.m.latency, sketch.New())
	}
	t.m.requests, t.m.errors = make([]float64, len(app.Endpoints)), make([]float64, len(app.Endpoints))
	return t
}

func (t *tally) add(s *foresail.Snapshot) {
	t.endpoints(s)
	for _, late := range s.Late {
		t.endpoints(late)
	}
	if s.Start.Before(t.from) {
		return
	}
	t.seconds += s.Duration().Seconds()
	for i := range s.Services {
		t.m.cores += s.Services[i].CPU
		t.m.throttled += s.Services[i].Throttled.Seconds()
		t.replicaSeconds += float64(len(s.Services[i].Replicas)) * s.Duration().Seconds()
	}
}

func (t *tally) endpoints(s *foresail.Snapshot) {
	if s.Start.Before(t.from) {
		return
	}
	for i := range t.m.latency {
		if i < len(s.Endpoints) {
			t.m.latency[i].Merge(s.Endpoints[i].Latency)
			t.m.requests[i] += s.Endpoints[i].Requests
			t.m.errors[i] += s.Endpoints[i].Errors
		}
	}
}

func (t *tally) done() measured {
	t.m.cores /= t.seconds
	t.m.replicas = t.replicaSeconds / t.seconds
	t.m.throttled /= t.replicaSeconds
	return t.m
}

// machineUse is CPU time used so far, in core-seconds: by the whole machine, and by this process.
type machineUse struct {
	at             time.Time
	machine, mine  float64
	users, average float64
}

func useOf(b Bed) machineUse {
	u := machineUse{at: time.Now(), users: b.UsersCPU().Seconds()}
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.mine = time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
	}
	if text, err := os.ReadFile("/proc/stat"); err == nil {
		line, _, _ := bufio.NewReader(bytes.NewReader(text)).ReadLine()
		var f [8]float64 // user nice system idle iowait irq softirq steal, in hundredths of a second
		_, _ = fmt.Sscan(strings.TrimPrefix(string(line), "cpu"), &f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6], &f[7])
		u.machine = (f[0] + f[1] + f[2] + f[5] + f[6] + f[7]) / 100
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(text), &u.average)
	}
	return u
}

// forReal runs an application on the testbed.
func (r *Run) forReal(ctx context.Context, bp *foresail.Blueprint, l *load.Load, seed uint64, spans func([]foresail.Span)) (m measured, all []*foresail.Snapshot, err error) {
	var mu sync.Mutex
	count := 0.0
	warmup, d := r.File.Warmup, r.File.Duration
	b, err := r.Start(ctx, bp, l, seed, warmup+d, func(s []foresail.Span) {
		mu.Lock()
		defer mu.Unlock()
		count += float64(len(s))
		if spans != nil {
			spans(s)
		}
	})
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, b.Stop()) }()
	var t *tally
	var began machineUse
	warm := false
	for {
		s, err := b.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return m, nil, err
		}
		if t == nil {
			t = newTally(bp.App, s.Start.Add(warmup))
			m.load = useOf(b).average
		}
		if !warm && !s.Start.Before(t.from) {
			warm, began = true, useOf(b)
		}
		all = append(all, s)
		t.add(s)
	}
	if !warm {
		return m, nil, errors.New("stopped during the warm-up")
	}
	ended := useOf(b)
	average := m.load
	m = t.done()
	seconds := ended.at.Sub(began.at).Seconds()
	m.load, m.users, m.collector = average, (ended.users-began.users)/seconds, (ended.mine-began.mine)/seconds
	m.others = max((ended.machine-began.machine)/seconds-m.cores-m.users-m.collector, 0)
	m.behind = b.Summary().Behind.Seconds()
	mu.Lock()
	m.spans = count / (warmup + d).Seconds()
	mu.Unlock()
	return m, all, nil
}
