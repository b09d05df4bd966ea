package sim

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/fault"
	"foresail.dev/load"
)

// Update is the application from an instant on. Its blueprint numbers services, endpoints and operations as the one before
// does; foresail.Align sees to that. Services whose blueprint has changed get a rolling update, those that are new start
// with their initial allocation, and those that have gone are drained. Requests in progress end as they began.
type Update struct {
	At        time.Duration // from the start of the run
	Blueprint *foresail.Blueprint
	Load      *load.Load // from then on, its offset 0 then; nil: what there is goes on
}

// checkUpdates says what is wrong with updates.
func (c *Config) checkUpdates() error {
	before, at := c.Blueprint, time.Duration(0)
	for i, u := range c.Updates {
		where := fmt.Sprintf("sim: update %d, at %v", i, u.At)
		switch {
		case u.Blueprint == nil || u.Blueprint.App == nil:
			return fmt.Errorf("%s: no blueprint", where)
		case u.At <= at:
			return fmt.Errorf("%s: must be after %v", where, at)
		case c.Duration > 0 && u.At >= c.Duration:
			return fmt.Errorf("%s: is past the end of the run, %v", where, c.Duration)
		case u.Blueprint.App.Generation <= before.App.Generation:
			return fmt.Errorf("%s: generation %d does not follow %d: see foresail.Align", where, u.Blueprint.App.Generation, before.App.Generation)
		}
		if err := u.Blueprint.Follows(before); err != nil {
			return fmt.Errorf("%s: %w: see foresail.Align", where, err)
		}
		if _, err := program.Compile(u.Blueprint); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		before, at = u.Blueprint, u.At
	}
	return nil
}

func (c *Cluster) nextUpdate(i int32) {
	if int(i) < len(c.cfg.Updates) {
		c.queue.At(int64(c.cfg.Updates[i].At), des.Event{Kind: onUpdate, A: i})
	}
}

// update makes the application another.
func (c *Cluster) update(i int32) {
	u := &c.cfg.Updates[i]
	old, bp := c.blueprint, u.Blueprint
	changed := make([]bool, len(bp.Services))
	var names []string
	for s := range bp.Services {
		if changed[s] = s >= len(old.Services) || old.App.Services[s].Gone != bp.App.Services[s].Gone ||
			!reflect.DeepEqual(old.Services[s], bp.Services[s]); changed[s] {
			names = append(names, bp.App.Services[s].Name)
		}
	}
	program, err := program.Recompile(c.program, bp, changed)
	if err != nil { // checkUpdates has seen to it
		panic(fmt.Sprintf("sim: %v", err))
	}
	c.program, c.blueprint, c.app, c.updated = program, bp, bp.App, true
	c.growDeadlines()
	c.growEdges()
	c.growEndpoints()
	c.troubles.SetApplication(c.app, c.program)
	if c.cfg.Truth != nil {
		c.cfg.Truth(fault.Truth{At: c.instant(int64(u.At)), Moment: fault.Updates, Services: names, Generation: c.app.Generation})
	}
	for s := range bp.Services {
		c.updateService(int32(s), changed[s])
	}
	if u.Load != nil {
		c.users.SetLoad(u.Load)
		c.users.Next()
	}
	c.nextUpdate(i + 1)
}

// updateService brings one service to what the application is now.
func (c *Cluster) updateService(s int32, changed bool) {
	app := &c.app.Services[s]
	fresh := int(s) == len(c.services)
	if fresh {
		c.services = append(c.services, service{name: app.Name})
	}
	sv := &c.services[s]
	back := !fresh && sv.gone && !app.Gone
	sv.gone = app.Gone
	switch {
	case app.Gone:
		sv.target.Replicas, sv.rolling = 0, false
	case fresh || back:
		a := app.Initial
		a.Settings = maps.Clone(a.Settings)
		sv.target, sv.now = a, a
	default:
		sv.target, _ = app.Bounds.Clamp(sv.target)
	}
	switch def := &c.program.Services[s]; {
	case fresh:
		sv.def = def
	case changed && !app.Gone:
		c.rollOut(s, def)
		return
	}
	c.reconcile(s)
}

// growEndpoints makes room for new endpoints and takes over objectives.
func (c *Cluster) growEndpoints() {
	n := len(c.app.Endpoints)
	c.endpointsTook.Grow(n)
	for len(c.endpoints) < n {
		c.endpoints = append(c.endpoints, endpointStats{firstLate: cfs.Never})
	}
	c.users.SetEndpoints(c.app.Endpoints)
	for i := range c.app.Endpoints {
		e := &c.app.Endpoints[i]
		c.endpoints[i].objective = 0
		if e.Objective != nil {
			c.endpoints[i].objective = int64(e.Objective.Latency)
		}
	}
}

// growEdges makes room for new edges, and keeps them in the order of (from, to).
func (c *Cluster) growEdges() {
	n := len(c.program.Edges)
	if n == len(c.edges) {
		return
	}
	c.edgesTook.Grow(n)
	c.edges = append(c.edges, make([]edge, n-len(c.edges))...)
	c.edgeOrder = c.edgeOrder[:0]
	for i := range int32(n) {
		c.edgeOrder = append(c.edgeOrder, i)
	}
	slices.SortFunc(c.edgeOrder, func(a, b int32) int {
		x, y := &c.program.Edges[a], &c.program.Edges[b]
		if x.From != y.From {
			return int(x.From - y.From)
		}
		return int(x.To - y.To)
	})
}

func (c *Cluster) growDeadlines() {
	for _, d := range c.program.Deadlines[len(c.deadlines):] {
		c.deadlines = append(c.deadlines, deadlines{timeout: d, first: -1, last: -1})
	}
}
