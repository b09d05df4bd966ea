package scenario

import (
	"fmt"
	"strconv"
	"time"

	"foresail.dev"
)

// machines are what an application runs on.
type machines struct {
	nodes           []foresail.Node
	placement       foresail.Placement
	within, between time.Duration
	detection       time.Duration
}

const maxNodes = 10_000

// nodes reads "nodes 3 cores=8 memory=32GiB": so many alike, called n1, n2 and so on.
func (p *parser) nodes(_ *block, args []token, _ *time.Duration) func(*runner) output {
	usage := findVerb("nodes").usage
	if len(args) == 0 {
		p.faultf(p.end(args), "write: %s", usage)
		return nil
	}
	if !p.fresh("nodes") {
		return nil
	}
	n, err := strconv.Atoi(args[0].text)
	if err != nil || n < 1 || n > maxNodes {
		p.faultf(args[0], "%q must be a whole number within 1..%d; write: %s", args[0].text, maxNodes, usage)
		return nil
	}
	var m machines
	var one foresail.Node
	for _, w := range p.pairs(args[1:], usage) {
		if err := m.set(&one, w.key, w.value); err != nil {
			p.faultf(w.token, "%s: %v", w.key, err)
		}
	}
	one.Name = "n1"
	if err := one.Check(); err != nil {
		p.faultf(args[0], "%v", err)
	}
	for i := range n {
		one.Name = fmt.Sprintf("n%d", i+1)
		m.nodes = append(m.nodes, one)
	}
	p.change(func(s *setup) { s.machines = m })
	return nil
}

// set reads one of the words that describe nodes.
func (m *machines) set(one *foresail.Node, key, text string) (err error) {
	var v float64
	var d time.Duration
	switch key {
	case "cores", "disks":
		v, err = count.read(text)
		if err == nil && (v != float64(int(v)) || v < 1 || v > 4096) {
			err = fmt.Errorf("%q must be a whole number within 1..4096", text)
		}
	case "memory", "cache", "memory-bandwidth", "network", "disk":
		v, err = bytes.read(text)
	case "within", "between", "detection":
		d, err = duration(text)
	}
	if err != nil {
		return err
	}
	switch key {
	case "cores":
		one.Cores = int(v)
	case "disks":
		one.Disks = int(v)
	case "memory":
		one.Memory = int64(v)
	case "cache":
		one.Cache = int64(v)
	case "memory-bandwidth":
		one.MemoryBandwidth = v
	case "network":
		one.Network = v
	case "disk":
		one.Disk = v
	case "counters":
		one.Counters, err = strconv.ParseBool(text)
	case "placement":
		err = m.placement.UnmarshalText([]byte(text))
	case "within":
		m.within = d
	case "between":
		m.between = d
	case "detection":
		m.detection = d
	default:
		err = fmt.Errorf("is nothing that nodes have")
	}
	return err
}
