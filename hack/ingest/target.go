package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/otlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

// target is a receiver to measure.
type target interface {
	name() string
	// commands are the processes, the one whose last words are checked first; to is where spans go, one address or several.
	commands(dir string) (cmds []*exec.Cmd, to []string, err error)
	check(m *measured, said []byte) error // of what the process said at its end
}

type foresailTarget struct{}

func (foresailTarget) name() string { return "foresail, snapshots out" }

func (foresailTarget) commands(string) ([]*exec.Cmd, []string, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	return []*exec.Cmd{exec.Command(self, "serve", addr)}, []string{addr}, err
}

// report is what serve says at its end.
type report struct {
	Snapshots       int
	Requests, Calls float64
	Stats           telemetry.Stats
}

func (foresailTarget) check(m *measured, said []byte) error {
	var r report
	if err := json.Unmarshal(said, &r); err != nil {
		return fmt.Errorf("it said %q: %w", said, err)
	}
	m.snapshots = r.Snapshots
	if r.Stats.Assembled != m.sent || r.Stats.Dropped.Total() > 0 {
		return fmt.Errorf("%d spans were sent: %+v", m.sent, r.Stats)
	}
	if r.Requests < 0.4*float64(m.sent) {
		return fmt.Errorf("%d spans were sent and %g requests came out", m.sent, r.Requests)
	}
	return nil
}

// serve is Foresail's receiver with an assembler that is cut each beat, as the daemon cuts it.
func serve(addr string) error {
	a := telemetry.NewAssembler(appOf(), telemetry.Options{})
	r, err := otlp.Listen(otlp.Config{GRPC: addr}, a)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	tick := time.NewTicker(foresail.Beat)
	defer tick.Stop()
	var out report
	cut := func(end time.Time) {
		if s := a.Cut(end); s != nil {
			out.Snapshots++
			out.count(s)
		}
	}
	for running := true; running; {
		select {
		case <-tick.C:
			cut(time.Now().Add(-150 * time.Millisecond))
		case <-stop:
			running = false
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = r.Shutdown(ctx)
	cut(time.Now().Add(foresail.Beat))
	out.Stats = a.Stats()
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(out))
}

func (r *report) count(s *foresail.Snapshot) {
	for i := range s.Services {
		r.Requests += s.Services[i].Completions
	}
	for i := range s.Edges {
		r.Calls += s.Edges[i].Calls
	}
	for _, l := range s.Late {
		r.count(l)
	}
}

type collectorTarget struct {
	binary  string
	metrics bool
}

func (c collectorTarget) name() string {
	if c.metrics {
		return "collector 0.165, spanmetrics"
	}
	return "collector 0.165, passing through"
}

const collectorConfig = `
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: %s
exporters:
  nop:
connectors:
  spanmetrics:
service:
  telemetry:
    metrics:
      level: none
    logs:
      level: error
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [%s]
%s`

const collectorMetrics = `    metrics:
      receivers: [spanmetrics]
      exporters: [nop]
`

func (c collectorTarget) commands(dir string) ([]*exec.Cmd, []string, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, nil, err
	}
	to, more := "nop", ""
	if c.metrics {
		to, more = "spanmetrics", collectorMetrics
	}
	text := fmt.Sprintf(collectorConfig, addr, to, more)
	if !c.metrics {
		text = strings.Replace(text, "connectors:\n  spanmetrics:\n", "", 1)
	}
	path := filepath.Join(dir, "collector.yaml")
	return []*exec.Cmd{exec.Command(c.binary, "--config", path)}, []string{addr}, os.WriteFile(path, []byte(text), 0o600)
}

func (collectorTarget) check(*measured, []byte) error { return nil }

// measured is what one run gave.
type measured struct {
	spans     uint64 // taken in the measured time
	sent      uint64 // in all
	took, cpu time.Duration
	rss       float64 // MiB
	snapshots int
	share     float64 // of the processor time, the first process
}

func (m *measured) perCore() float64   { return float64(m.spans) / m.cpu.Seconds() }
func (m *measured) perSecond() float64 { return float64(m.spans) / m.took.Seconds() }

// senders is how many requests are under way at once.
const senders = 4

// measure starts a receiver, sends for a while, and ends it. All of its processes share one processor.
func measure(t target, w []*workload, o *options) (m measured, err error) {
	dir, err := os.MkdirTemp("", "ingest")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	cmds, to, err := t.commands(dir)
	if err != nil {
		return m, err
	}
	var said strings.Builder
	var pids []int
	var ended []chan error
	for i, cmd := range cmds {
		cmd.Path, cmd.Args = "/usr/bin/taskset", append([]string{"taskset", "-c", "0", cmd.Path}, cmd.Args[1:]...)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		if cmd.Stderr = os.Stderr; i == 0 {
			cmd.Stdout = &said
		}
		if err = cmd.Start(); err != nil {
			break
		}
		end := make(chan error, 1)
		go func() { end <- cmd.Wait() }()
		pids, ended = append(pids, cmd.Process.Pid), append(ended, end)
	}
	if err == nil {
		err = drive(&m, to, pids, w, o)
	}
	for i := len(ended) - 1; i >= 0; i-- { // the first is told what the others have last
		_ = cmds[i].Process.Signal(syscall.SIGTERM)
		select {
		case werr := <-ended[i]:
			err = errors.Join(err, werr)
		case <-time.After(20 * time.Second):
			_ = cmds[i].Process.Kill()
			<-ended[i]
			err = errors.Join(err, errors.New("it did not end"))
		}
	}
	if err != nil {
		return m, err
	}
	return m, t.check(&m, []byte(said.String()))
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// drive sends requests until the measured time is over.
func drive(m *measured, to []string, pids []int, workloads []*workload, o *options) error {
	var conns []*grpc.ClientConn
	for _, addr := range to {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{}), grpc.WaitForReady(true)))
		if err != nil {
			return err
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var sent atomic.Uint64
	var wg sync.WaitGroup
	failed := make(chan error, senders)
	for i := range senders {
		conn, w := conns[i%len(conns)], workloads[i%len(conns)] // a trace is in one workload
		wg.Go(func() {
			for ctx.Err() == nil {
				q := w.take()
				var answer []byte
				err := conn.Invoke(context.Background(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", &q.bytes, &answer)
				w.give(q)
				if err == nil && len(answer) > 2 { // more than an empty partial success
					err = fmt.Errorf("spans were refused: %q", answer)
				}
				if err != nil {
					failed <- err
					return
				}
				sent.Add(spansEach)
			}
		})
	}
	wait := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case err := <-failed:
			return err
		}
	}
	used := func() (all, first time.Duration, rss float64) {
		for i, pid := range pids {
			cpu, mem := usage(pid)
			if all, rss = all+cpu, rss+mem; i == 0 {
				first = cpu
			}
		}
		return all, first, rss
	}
	err := wait(o.warmup)
	if err == nil {
		all, first, _ := used()
		begun, before := time.Now(), sent.Load()
		err = wait(o.duration)
		m.spans, m.took = sent.Load()-before, time.Since(begun)
		allNow, firstNow, rss := used()
		m.cpu, m.rss = allNow-all, rss
		if len(pids) > 1 {
			m.share = (firstNow - first).Seconds() / m.cpu.Seconds()
		}
	}
	cancel()
	wg.Wait()
	m.sent = sent.Load()
	return err
}

// usage is the processor time of a process so far and the memory it holds, in MiB.
func usage(pid int) (cpu time.Duration, rss float64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	pages, _ := strconv.Atoi(f[21])
	return time.Duration(user+system) * tick, float64(pages*os.Getpagesize()) / (1 << 20)
}

// raw sends and receives messages as bytes.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	b, err := io.ReadAll(data.Reader())
	*v.(*[]byte) = b
	return err
}
