package snapshotfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"foresail.dev"
)

// Read reads what Of wrote, for the same application: the counters and gauges of services and replicas, and call graphs;
// not latencies, edges and endpoints.
func Read(path string, app *foresail.App) ([]*foresail.Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReaderSize(f, 1<<20))
	var out []*foresail.Snapshot
	for {
		var l Line
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: snapshot %d: %w", path, len(out)+1, err)
		}
		s, err := snapshotOf(app, &l)
		if err != nil {
			return nil, fmt.Errorf("%s: snapshot %d: %w", path, len(out)+1, err)
		}
		out = append(out, s)
	}
}

func snapshotOf(app *foresail.App, l *Line) (*foresail.Snapshot, error) {
	s := &foresail.Snapshot{Start: l.Start, End: l.End, Stale: l.Stale, Dropped: l.Dropped,
		Services: make([]foresail.ServiceStats, len(app.Services)), Endpoints: make([]foresail.EndpointStats, len(app.Endpoints))}
	for _, name := range slices.Sorted(maps.Keys(l.Services)) {
		in := l.Services[name]
		id, ok := app.ServiceByName(name)
		if !ok {
			return nil, fmt.Errorf("service %q is not one of application %s", name, app.Name)
		}
		sv := &s.Services[id]
		if err := in.usageLine.into(&sv.Usage); err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
		if in.Allocation != nil {
			sv.Allocation = *in.Allocation
			sv.Has |= foresail.SignalAllocation
		}
		for _, r := range slices.Sorted(maps.Keys(in.Replicas)) {
			rs := foresail.ReplicaStats{Name: r}
			one := in.Replicas[r]
			if err := one.into(&rs.Usage); err != nil {
				return nil, fmt.Errorf("replica %s: %w", r, err)
			}
			sv.Replicas = append(sv.Replicas, rs)
		}
	}
	return s, l.readShapes(app, s)
}

// most is more than any counter of an interval holds, in seconds or in requests; more would not be a duration.
const most = 9e9

// into sets what the line has; a number that no counter can have is an error.
func (l *usageLine) into(u *foresail.Usage) (err error) {
	number := func(name string, v *float64, signal foresail.Signals, set func(float64)) {
		if v == nil {
			return
		}
		if !(*v >= 0 && *v < most) {
			err = errors.Join(err, fmt.Errorf("%s is %v", name, *v))
			return
		}
		u.Has |= signal
		set(*v)
	}
	bytes := func(name string, v *int64, signal foresail.Signals, into *int64) {
		if v == nil {
			return
		}
		if *v < 0 {
			err = errors.Join(err, fmt.Errorf("%s is %d", name, *v))
			return
		}
		u.Has |= signal
		*into = *v
	}
	if l.Ready != nil {
		u.Has |= foresail.SignalReady
		u.Ready = *l.Ready
	}
	number("cpu_core_seconds", l.CPU, foresail.SignalCPU, func(v float64) { u.CPU = v })
	number("throttled_seconds", l.Throttled, foresail.SignalThrottled, func(v float64) { u.Throttled = time.Duration(v * 1e9) })
	bytes("memory_bytes", l.Memory, foresail.SignalMemory, &u.Memory)
	bytes("network_in_bytes", l.NetIn, foresail.SignalNetwork, &u.NetIn)
	bytes("network_out_bytes", l.NetOut, foresail.SignalNetwork, &u.NetOut)
	number("arrivals", l.Arrivals, foresail.SignalArrivals, func(v float64) { u.Arrivals = v })
	number("completions", l.Completions, foresail.SignalCompletions, func(v float64) { u.Completions = v })
	number("errors", l.Errors, foresail.SignalErrors, func(v float64) { u.Errors = v })
	return err
}
