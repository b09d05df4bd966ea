package alibaba

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

const (
	interval  = time.Minute
	minuteMS  = 60_000
	maxCells  = 2 << 20 // pairs of a minute and a service, or node, that are held
	maxJoined = 1 << 20 // rates and response times of containers that wait for each other
)

// tables make one snapshot a minute out of rows in any order. When too much is held the earliest minutes are told, and a row
// that comes for one of them later is a fault.
type tables struct {
	c       *source.Collector
	o       Options
	app     *foresail.App
	ids     map[string]foresail.ServiceID
	nodeIDs map[string]int
	nodeOf  []string
	minutes map[int64]*minute
	cells   int
	told    int64 // minutes before this were told
	waiting map[join]float64
	scaled  bool // rates without a unit were read
	shares  bool // shares of an unknown whole were read
}

// minute holds what was read of one.
type minute struct {
	services []cell
	nodes    []cell
}

// cell sums up the rows of a service, or of a node. It is small, since there may be millions.
type cell struct {
	cpu, memory float64 // shares, summed over rows
	calls       float64 // in the minute
	rows        int32   // that told of use
	has         foresail.Signals
}

// join names a rate or a response time of one container.
type join struct {
	at             int64
	instance, what string
}

func newTables(c *source.Collector, o Options) *tables {
	return &tables{c: c, o: o, app: &foresail.App{}, ids: map[string]foresail.ServiceID{}, nodeIDs: map[string]int{},
		minutes: map[int64]*minute{}, told: -1, waiting: map[join]float64{}}
}

// at finds the minute of a timestamp.
func (t *tables) at(ms int64) (*minute, error) {
	i := ms / minuteMS
	if m := t.minutes[i]; m != nil {
		return m, nil
	}
	if i < t.told {
		return nil, errors.New("it came too late: its minute was told, since more than can be held came after it")
	}
	if t.cells > maxCells {
		if err := t.tell(len(t.minutes)/2 + 1); err != nil {
			return nil, err
		}
	}
	m := &minute{}
	t.minutes[i] = m
	return m, nil
}

// cell finds the nth cell of a list.
func (t *tables) cell(list *[]cell, n int) *cell {
	for len(*list) <= n {
		*list = append(*list, cell{})
		t.cells++
	}
	return &(*list)[n]
}

// service finds a service's cell.
func (t *tables) service(ms int64, name string) (*cell, error) {
	m, err := t.at(ms)
	if err != nil {
		return nil, err
	}
	id, ok := t.ids[name]
	if !ok {
		if len(t.app.Services) >= 1<<16 {
			return nil, errors.New("there are more than 65536 services")
		}
		id = foresail.ServiceID(len(t.app.Services))
		t.ids[name] = id
		t.app.Services = append(t.app.Services, foresail.Service{Name: name})
	}
	return t.cell(&m.services, int(id)), nil
}

// use reads the shares of a row and adds them to a cell.
func (t *tables) use(c *cell, cpu, memory []byte) error {
	v, hasCPU, err := share(cpu)
	if err != nil {
		return err
	}
	w, hasMemory, err := share(memory)
	if err != nil {
		return err
	}
	c.rows++
	c.cpu += v
	c.memory += w
	if hasCPU {
		c.has |= foresail.SignalCPU
	}
	if hasMemory {
		c.has |= foresail.SignalMemory
	}
	c.has |= foresail.SignalReady
	return nil
}

// share reads a share of a whole, which bursts may exceed.
func share(b []byte) (float64, bool, error) {
	v, ok, err := source.Float(b)
	if err == nil && (v < 0 || v > 1000) {
		err = fmt.Errorf("%g is not a share", v)
	}
	return v, ok, err
}

// resources reads the use of containers.
func (t *tables) resources(h *source.Header) (func([][]byte) error, error) {
	col, err := need(h, []string{"timestamp"}, []string{"msname"}, []string{"cpu_utilization", "instance_cpu_usage"},
		[]string{"memory_utilization", "instance_memory_usage"})
	if err != nil {
		return nil, err
	}
	t.shares = t.shares || t.o.ContainerCores == 0
	return func(f [][]byte) error {
		at, err := timestamp(f[col[0]])
		if err != nil {
			return err
		}
		if missing(f[col[1]]) {
			return errors.New("msname: it is missing")
		}
		c, err := t.service(at, string(f[col[1]]))
		if err != nil {
			return err
		}
		return t.use(c, f[col[2]], f[col[3]])
	}, nil
}

func missing(b []byte) bool {
	switch strings.ToUpper(string(b)) {
	case "", "(?)", "NAN", "NULL", "NONE", "UNKNOWN", "UNAVAILABLE":
		return true
	}
	return false
}

// nodes reads the use of nodes.
func (t *tables) nodes(h *source.Header) (func([][]byte) error, error) {
	col, err := need(h, []string{"timestamp"}, []string{"nodeid"}, []string{"cpu_utilization", "node_cpu_usage"}, []string{"memory_utilization", "node_memory_usage"})
	if err != nil {
		return nil, err
	}
	t.shares = t.shares || t.o.NodeCores == 0
	return func(f [][]byte) error {
		at, err := timestamp(f[col[0]])
		if err != nil {
			return err
		}
		m, err := t.at(at)
		if err != nil {
			return err
		}
		id, ok := t.nodeIDs[string(f[col[1]])]
		if !ok {
			if len(t.nodeOf) >= 1<<17 {
				return errors.New("there are more than 131072 nodes")
			}
			id = len(t.nodeOf)
			t.nodeOf = append(t.nodeOf, string(f[col[1]]))
			t.nodeIDs[t.nodeOf[id]] = id
		}
		return t.use(t.cell(&m.nodes, id), f[col[2]], f[col[3]])
	}, nil
}

// served are the ways in which a service is called.
var served = []string{"providerrpc", "http", "consumermq"}

// long reads v2021's rates and response times: one of them a row.
func (t *tables) long(h *source.Header) (func([][]byte) error, error) {
	col, err := need(h, []string{"timestamp"}, []string{"msname"}, []string{"msinstanceid"}, []string{"metrics", "metric"}, []string{"value"})
	if err != nil {
		return nil, err
	}
	return func(f [][]byte) error {
		at, err := timestamp(f[col[0]])
		if err != nil {
			return err
		}
		v, ok, err := source.Float(f[col[4]])
		switch {
		case err != nil:
			return err
		case v < 0:
			return fmt.Errorf("%g is below zero", v)
		case missing(f[col[1]]):
			return errors.New("msname: it is missing")
		}
		metric := strings.ToLower(string(f[col[3]]))
		how, which, _ := strings.Cut(metric, "_")
		if !ok || !slices.Contains(served, how) {
			return nil
		}
		return t.rate(at, string(f[col[1]]), join{at, string(f[col[2]]), how}, which, v)
	}, nil
}

// rate takes a rate or a response time of a container; each waits for the other.
func (t *tables) rate(at int64, service string, j join, which string, v float64) error {
	rate, rt := v, v
	other := j
	switch which {
	case "mcr":
		if err := t.calls(at, service, v); err != nil {
			return err
		}
		other.what += "_rt"
		j.what += "_mcr"
		if rt2, ok := t.waiting[other]; ok {
			rt = rt2
		} else {
			return t.wait(j, v)
		}
	case "rt":
		other.what += "_mcr"
		j.what += "_rt"
		if rate2, ok := t.waiting[other]; ok {
			rate = rate2
		} else {
			return t.wait(j, v)
		}
	default:
		return fmt.Errorf("metric %.40q is neither a rate (_MCR) nor a response time (_RT)", which)
	}
	delete(t.waiting, other)
	t.c.AddMean(service, rate*interval.Seconds(), rt/1000)
	return nil
}

// wait holds what came first of a rate and its response time. When too much waits for what never comes, it is let go: a mean
// is then of fewer containers.
func (t *tables) wait(j join, v float64) error {
	if len(t.waiting) >= maxJoined {
		clear(t.waiting)
	}
	t.waiting[j] = v
	return nil
}

// calls counts calls at a rate over a minute.
func (t *tables) calls(at int64, service string, perSecond float64) error {
	c, err := t.service(at, service)
	if err != nil {
		return err
	}
	c.calls += perSecond * interval.Seconds()
	c.has |= foresail.SignalArrivals | foresail.SignalCompletions
	return nil
}

// wide reads v2022's rates and response times: all of a container in one row.
func (t *tables) wide(h *source.Header) (func([][]byte) error, error) {
	col, err := need(h, []string{"timestamp"}, []string{"msname"})
	if err != nil {
		return nil, err
	}
	var pairs [][2]int
	for _, how := range served {
		rt, mcr := h.Column(how+"_rt"), h.Column(how+"_mcr")
		if rt >= 0 && mcr >= 0 {
			pairs = append(pairs, [2]int{rt, mcr})
		}
	}
	t.scaled = t.scaled || t.o.CallRate == 0
	return func(f [][]byte) error {
		at, err := timestamp(f[col[0]])
		if err != nil {
			return err
		}
		if missing(f[col[1]]) {
			return errors.New("msname: it is missing")
		}
		service := string(f[col[1]])
		for _, p := range pairs {
			rt, hasRT, err := source.Float(f[p[0]])
			if err != nil {
				return err
			}
			mcr, hasMCR, err := source.Float(f[p[1]])
			switch {
			case err != nil:
				return err
			case rt < 0 || mcr < 0:
				return errors.New("a rate or a response time is below zero")
			}
			if hasRT && hasMCR && mcr > 0 {
				t.c.AddMean(service, mcr, rt/1000) // weighted by rates, whatever their unit
			}
			if hasMCR && t.o.CallRate > 0 {
				if err := t.calls(at, service, mcr*t.o.CallRate); err != nil {
					return err
				}
			}
		}
		return nil
	}, nil
}
