// Package snapshotfile writes snapshots as lines of JSON, and reads back what it wrote.
package snapshotfile

import (
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// The form of one line of a snapshot file; see docs/formats/snapshots.md. What was not observed is absent.
type (
	// Line is one snapshot.
	Line struct {
		Start     time.Time               `json:"start"`
		End       time.Time               `json:"end"`
		Stale     bool                    `json:"stale,omitempty"`
		Services  map[string]serviceLine  `json:"services,omitempty"`
		Nodes     map[string]nodeLine     `json:"nodes,omitempty"`
		Endpoints map[string]endpointLine `json:"endpoints,omitempty"`
		Edges     []edgeLine              `json:"edges,omitempty"`
		Shapes    []shapeLine             `json:"shapes,omitzero"` // an empty list where no request was traced
		Dropped   float64                 `json:"dropped,omitempty"`
	}
	serviceLine struct {
		usageLine
		Allocation *foresail.Allocation   `json:"allocation,omitempty"`
		Pending    *foresail.Allocation   `json:"pending,omitempty"`
		Replicas   map[string]replicaLine `json:"replicas,omitempty"`
	}
	replicaLine struct {
		Node string `json:"node,omitempty"`
		usageLine
	}
	usageLine struct {
		Ready       *int       `json:"ready,omitempty"`
		CPU         *float64   `json:"cpu_core_seconds,omitempty"`
		Throttled   *float64   `json:"throttled_seconds,omitempty"`
		Memory      *int64     `json:"memory_bytes,omitempty"`
		NetIn       *int64     `json:"network_in_bytes,omitempty"`
		NetOut      *int64     `json:"network_out_bytes,omitempty"`
		InFlight    *gaugeLine `json:"in_flight,omitempty"`
		Arrivals    *float64   `json:"arrivals,omitempty"`
		Completions *float64   `json:"completions,omitempty"`
		Errors      *float64   `json:"errors,omitempty"`
		Latency     *histogram `json:"latency,omitempty"`
		agentLine
	}
	// agentLine is what an agent on the node adds.
	agentLine struct {
		Queue          *gaugeLine `json:"queue,omitempty"`
		DiskRead       *int64     `json:"disk_read_bytes,omitempty"`
		DiskWritten    *int64     `json:"disk_written_bytes,omitempty"`
		IOWait         *float64   `json:"io_wait_seconds,omitempty"`
		CPUPressure    *float64   `json:"cpu_pressure_seconds,omitempty"`
		MemoryPressure *float64   `json:"memory_pressure_seconds,omitempty"`
		IOPressure     *float64   `json:"io_pressure_seconds,omitempty"`
		Retransmits    *float64   `json:"retransmits,omitempty"`
		CacheMisses    *float64   `json:"cache_misses,omitempty"`
		MemoryTraffic  *float64   `json:"memory_traffic_bytes,omitempty"`
	}
	nodeLine struct {
		usageLine
		Runnable *gaugeLine `json:"runnable,omitempty"`
		DiskBusy *float64   `json:"disk_busy_seconds,omitempty"`
	}
	gaugeLine struct {
		Last float64 `json:"last"`
		Mean float64 `json:"mean"`
		Max  float64 `json:"max"`
	}
	endpointLine struct {
		Arrivals  float64    `json:"arrivals"`
		Requests  float64    `json:"requests"`
		Errors    float64    `json:"errors"`
		Late      float64    `json:"late"`
		FirstLate *time.Time `json:"first_late,omitempty"`
		Latency   *histogram `json:"latency,omitempty"`
	}
	edgeLine struct {
		From    string     `json:"from"`
		To      string     `json:"to"`
		Calls   float64    `json:"calls"`
		Errors  float64    `json:"errors"`
		Latency *histogram `json:"latency,omitempty"`
	}
	// histogram is a latency sketch: bucket i holds values in (2^((i-1)/16), 2^(i/16)] seconds.
	histogram struct {
		Count   float64      `json:"count"`
		Sum     float64      `json:"sum_seconds"`
		Zero    float64      `json:"zero,omitempty"`
		Buckets [][2]float64 `json:"buckets"` // index, count
	}
)

// Of names the services of a snapshot and leaves out what was not observed.
func Of(app *foresail.App, s *foresail.Snapshot) Line {
	l := Line{Start: s.Start, End: s.End, Stale: s.Stale, Dropped: s.Dropped, Services: map[string]serviceLine{}}
	for i := range s.Services {
		svc := &s.Services[i]
		out := serviceLine{usageLine: usageOf(&svc.Usage), Pending: svc.Pending}
		if svc.Has.Has(foresail.SignalAllocation) {
			out.Allocation = &svc.Allocation
		}
		if len(svc.Replicas) > 0 {
			out.Replicas = make(map[string]replicaLine, len(svc.Replicas))
			for j := range svc.Replicas {
				r := &svc.Replicas[j]
				out.Replicas[r.Name] = replicaLine{Node: r.Node, usageLine: usageOf(&r.Usage)}
			}
		}
		l.Services[app.Services[i].Name] = out
	}
	if s.Has.Has(foresail.SignalNodes) {
		l.Nodes = map[string]nodeLine{}
		for i := range s.Nodes {
			n := &s.Nodes[i]
			l.Nodes[n.Name] = nodeLine{usageLine: usageOf(&n.Usage), Runnable: observed(&n.Usage, foresail.SignalRunnable, gaugeLine(n.Runnable)),
				DiskBusy: observed(&n.Usage, foresail.SignalDisk, n.DiskBusy.Seconds())}
		}
	}
	if s.Has.Has(foresail.SignalEndpoints) {
		l.Endpoints = map[string]endpointLine{}
		for i := range s.Endpoints {
			e := &s.Endpoints[i]
			out := endpointLine{Arrivals: e.Arrivals, Requests: e.Requests, Errors: e.Errors, Late: e.Late, Latency: histogramOf(e.Latency)}
			if !e.FirstLate.IsZero() {
				out.FirstLate = &e.FirstLate
			}
			l.Endpoints[app.Endpoints[i].Name] = out
		}
	}
	for _, e := range s.Edges {
		l.Edges = append(l.Edges, edgeLine{From: app.Services[e.From].Name, To: app.Services[e.To].Name,
			Calls: e.Calls, Errors: e.Errors, Latency: histogramOf(e.Latency)})
	}
	l.Shapes = shapesOf(app, s)
	return l
}

func usageOf(u *foresail.Usage) usageLine {
	return usageLine{
		Ready:       observed(u, foresail.SignalReady, u.Ready),
		CPU:         observed(u, foresail.SignalCPU, u.CPU),
		Throttled:   observed(u, foresail.SignalThrottled, u.Throttled.Seconds()),
		Memory:      observed(u, foresail.SignalMemory, u.Memory),
		NetIn:       observed(u, foresail.SignalNetwork, u.NetIn),
		NetOut:      observed(u, foresail.SignalNetwork, u.NetOut),
		InFlight:    observed(u, foresail.SignalInFlight, gaugeLine(u.InFlight)),
		Arrivals:    observed(u, foresail.SignalArrivals, u.Arrivals),
		Completions: observed(u, foresail.SignalCompletions, u.Completions),
		Errors:      observed(u, foresail.SignalErrors, u.Errors),
		Latency:     histogramOf(u.Latency),
		agentLine: agentLine{
			Queue:          observed(u, foresail.SignalQueue, gaugeLine(u.Queue)),
			DiskRead:       observed(u, foresail.SignalDisk, u.DiskRead),
			DiskWritten:    observed(u, foresail.SignalDisk, u.DiskWritten),
			IOWait:         observed(u, foresail.SignalDisk, u.IOWait.Seconds()),
			CPUPressure:    observed(u, foresail.SignalPressure, u.CPUPressure.Seconds()),
			MemoryPressure: observed(u, foresail.SignalPressure, u.MemoryPressure.Seconds()),
			IOPressure:     observed(u, foresail.SignalPressure, u.IOPressure.Seconds()),
			Retransmits:    observed(u, foresail.SignalRetransmits, u.Retransmits),
			CacheMisses:    observed(u, foresail.SignalCacheMisses, u.CacheMisses),
			MemoryTraffic:  observed(u, foresail.SignalMemoryTraffic, u.MemoryTraffic),
		},
	}
}

func observed[T any](u *foresail.Usage, s foresail.Signals, v T) *T {
	if !u.Has.Has(s) {
		return nil
	}
	return &v
}

func histogramOf(s *sketch.Sketch) *histogram {
	if s.Count() == 0 {
		return nil
	}
	h := &histogram{Count: s.Count(), Sum: s.Sum(), Zero: s.Zero(), Buckets: [][2]float64{}}
	for i, n := range s.Buckets() {
		h.Buckets = append(h.Buckets, [2]float64{float64(i), n})
	}
	return h
}
