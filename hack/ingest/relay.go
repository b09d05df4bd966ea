package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/relay/receive"
)

// relayTarget is several ingesters, each with traces of its own, and a process that merges what they count.
type relayTarget struct {
	foresail string
	n        int
}

func (t relayTarget) name() string { return fmt.Sprintf("foresail, %d ingester(s) and a daemon", t.n) }

func (t relayTarget) commands(string) (cmds []*exec.Cmd, to []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	daemon, err := freeAddress()
	if err != nil {
		return nil, nil, err
	}
	cmds = append(cmds, exec.Command(self, "merge", daemon))
	for i := range t.n {
		addr, err := freeAddress()
		if err != nil {
			return nil, nil, err
		}
		cmds = append(cmds, exec.Command(t.foresail, "ingest", "--daemon", daemon, "--name", fmt.Sprint(i), "--otlp-grpc", addr, "--otlp-http", ""))
		to = append(to, addr)
	}
	return cmds, to, nil
}

func (t relayTarget) check(m *measured, said []byte) error {
	var r merging
	if err := json.Unmarshal(said, &r); err != nil {
		return fmt.Errorf("it said %q: %w", said, err)
	}
	m.snapshots = r.Snapshots
	s := r.Ingest
	if s.Spans.Assembled != m.sent || s.Spans.Dropped.Total()+r.Stats.Dropped.Total()+s.Lost+s.Missing+s.Unsure > 0 {
		return fmt.Errorf("%d spans were sent: %+v, %+v", m.sent, s, r.Stats)
	}
	if r.Requests < 0.4*float64(m.sent) {
		return fmt.Errorf("%d spans were sent and %g requests came out", m.sent, r.Requests)
	}
	return nil
}

// merging is what merge says at its end.
type merging struct {
	report
	Ingest receive.Stats
}

// merge is the daemon's part: assemblers that are cut each beat, with what ingesters send.
func merge(addr string) error {
	a := telemetry.NewShards(appOf(), telemetry.Options{}, 1)
	server, err := receive.New(receive.Config{}, a).Listen(addr, nil)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	tick := time.NewTicker(foresail.Beat)
	defer tick.Stop()
	var out merging
	cut := func(end time.Time) {
		if s := a.Cut(end); s != nil {
			server.Cut(s.End)
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
	err = server.Close()
	cut(time.Now().Add(foresail.Beat))
	out.Stats, out.Ingest = a.Stats(), server.Stats()
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(out))
}
