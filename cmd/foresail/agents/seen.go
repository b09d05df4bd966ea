package agents

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"foresail.dev"
	"foresail.dev/telemetry/agent/report"
	"foresail.dev/telemetry/agent/wire"
)

// seen counts what an agent sees on its way into the ring.
type seen struct {
	ring  *report.Ring
	keep  bool // sums are wanted
	beats uint64
	node  sum
	sums  map[string]*sum
}

// sum is what was seen of one container.
type sum struct {
	of     wire.Container
	value  [wire.NumFields]int64
	last   [wire.NumFields]int64
	has    foresail.Signals
	length int64
}

// Put is report.Ring's.
func (a *seen) Put(b *wire.Beat, t *report.Table) {
	a.beats++
	if a.keep {
		if a.sums == nil {
			a.sums = map[string]*sum{}
		}
		a.node.add(&b.Node, b.Length)
		for i := range b.Containers {
			c := t.Of.Containers[b.Containers[i].Index]
			s := a.sums[c.ID]
			if s == nil {
				s = &sum{}
				a.sums[c.ID] = s
			}
			s.of = c
			s.add(&b.Containers[i], b.Length)
		}
	}
	a.ring.Put(b, t)
}

func (s *sum) add(x *wire.Sample, length int64) {
	for i, v := range &x.Value {
		s.value[i] += v
		if v > 0 {
			s.last[i] = v
		}
	}
	s.last[wire.Backlog], s.last[wire.Busy], s.last[wire.Unread] = x.Value[wire.Backlog], x.Value[wire.Busy], x.Value[wire.Unread]
	s.has |= x.Has
	s.length += length
}

// row is a container, or with neither container nor service the node, as 'foresail agent --for' prints it.
type row struct {
	Service   string   `json:"service,omitempty"`
	Replica   string   `json:"replica,omitempty"`
	Container string   `json:"container,omitempty"`
	Pod       string   `json:"pod,omitempty"`
	CPU       *float64 `json:"cpu_used,omitempty"` // cores
	Throttled *float64 `json:"throttled_share,omitempty"`
	Memory    *int64   `json:"memory_bytes,omitempty"`
	Backlog   *int64   `json:"accept_queue,omitempty"`
	Busy      *int64   `json:"in_flight,omitempty"`
	NetIn     *float64 `json:"net_in_bytes_s,omitempty"`
	NetOut    *float64 `json:"net_out_bytes_s,omitempty"`
	Signals   string   `json:"signals"`
}

func (s *sum) tell() row {
	seconds := time.Duration(s.length).Seconds()
	rate := func(signal foresail.Signals, f wire.Field, unit float64) *float64 {
		if !s.has.Has(signal) || seconds <= 0 {
			return nil
		}
		v := round(float64(s.value[f]) * unit / seconds)
		return &v
	}
	last := func(signal foresail.Signals, f wire.Field) *int64 {
		if !s.has.Has(signal) {
			return nil
		}
		return &s.last[f]
	}
	return row{Service: s.of.Service, Replica: s.of.Replica, Container: s.of.ID, Pod: s.of.Pod, Signals: s.has.String(),
		CPU: rate(foresail.SignalCPU, wire.CPU, 1e-9), Throttled: rate(foresail.SignalThrottled, wire.Throttled, 1e-9),
		Memory: last(foresail.SignalMemory, wire.Memory), Backlog: last(foresail.SignalQueue, wire.Backlog), Busy: last(foresail.SignalInFlight, wire.Busy),
		NetIn: rate(foresail.SignalNetwork, wire.NetIn, 1), NetOut: rate(foresail.SignalNetwork, wire.NetOut, 1)}
}

// cost is what an agent itself took.
type cost struct {
	Beats  uint64  `json:"beats"`
	Core   float64 `json:"core_percent"` // of one core, user and system
	Allocs float64 `json:"allocations_beat"`
	Heap   uint64  `json:"heap_bytes"`

	at  time.Time
	cpu time.Duration
	n   uint64
}

func measureCost() cost {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // it fails for no argument that is there
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return cost{at: time.Now(), cpu: time.Duration(u.Utime.Nano() + u.Stime.Nano()), n: m.Mallocs, Heap: m.HeapInuse}
}

func (c cost) since(before cost, beats uint64) cost {
	c.Beats = beats
	c.Core = round(100 * float64(c.cpu-before.cpu) / float64(c.at.Sub(before.at)))
	c.Allocs = round(float64(c.n-before.n) / float64(max(beats, 1)))
	return c
}

// detail is what the result of 'foresail agent --for' holds beside its rows.
type detail struct {
	Cost    cost   `json:"cost"`
	Dropped uint64 `json:"dropped"`
	Waiting int    `json:"not_sent"`
}

func (f *flags) print(w io.Writer, seen *seen, took cost) error {
	rows := []row{seen.node.tell()}
	for _, s := range seen.sums {
		rows = append(rows, s.tell())
	}
	slices.SortStableFunc(rows[1:], func(a, b row) int {
		return cmpStrings(a.Service, b.Service, a.Replica, b.Replica, a.Container, b.Container)
	})
	if f.json {
		return f.Print(w, rows, detail{took, seen.ring.Dropped(), seen.ring.Waiting()})
	}
	var cells [][]string
	for i, r := range rows {
		name := r.Replica
		if i == 0 {
			name = "the node"
		} else if name == "" {
			name = r.Container[:min(len(r.Container), 24)]
		}
		cells = append(cells, []string{r.Service, name, opt("%.3f", r.CPU), opt("%.3f", r.Throttled), mib(r.Memory), opt("%d", r.Backlog), opt("%d", r.Busy)})
	}
	if err := f.Table(w, []string{"service", "replica", "cores", "throttled", "MiB", "accept queue", "in flight"}, cells); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d containers, %d beats; looking took %.2f %% of a core, %.1f allocations a beat\n", len(rows)-1, took.Beats, took.Core, took.Allocs)
	return err
}

func mib(bytes *int64) string {
	if bytes == nil {
		return "—"
	}
	return fmt.Sprintf("%.1f", float64(*bytes)/(1<<20))
}

// cmpStrings compares pairs until one differs.
func cmpStrings(pairs ...string) int {
	for i := 0; i+1 < len(pairs); i += 2 {
		switch a, b := pairs[i], pairs[i+1]; {
		case a < b:
			return -1
		case a > b:
			return 1
		}
	}
	return 0
}

// round leaves four digits after the point.
func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }

func opt[T any](format string, v *T) string {
	if v == nil {
		return "—"
	}
	return fmt.Sprintf(format, *v)
}
