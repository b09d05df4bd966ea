package users

import (
	"math/rand/v2"
	"runtime"
	"time"

	"foresail.dev/cluster/testbed/wire"
	"foresail.dev/load"
)

// run follows the load from its begin until the generator is stopped.
func (g *generator) run() {
	runtime.LockOSThread() // it sleeps in the kernel, to be on time
	defer runtime.UnlockOSThread()
	wire.Sleep(-g.offset())
	now := g.load.Load()
	rng := rand.New(rand.NewPCG(g.boot.Seed, 0))
	shares := make([]float64, len(g.boot.Blueprint.App.Endpoints))
	arrivals := load.NewArrivals(now, rng)
	for !g.stop.Load() {
		offset := g.offset()
		if next := g.load.Load(); next != now {
			now = next
			g.begin.Store(int64(g.clock.Elapsed()))
			offset = 0
			arrivals.SetLoad(now, 0)
		}
		if now.Mode == load.Closed {
			g.hire(int(now.Level(offset) + 0.5))
			wire.Sleep(turn)
			continue
		}
		g.hire(0)
		at, ok := arrivals.Next(offset + turn)
		wire.Sleep(at - g.offset())
		if ok {
			g.figures.behind(max(g.offset()-at, 0))
			e, intended := now.Pick(at, rng, shares), time.Duration(g.begin.Load())+at
			go func() { _ = g.request(e, intended) }()
		}
	}
}

// offset is the time since the load's offset 0, negative before.
func (g *generator) offset() time.Duration { return g.clock.Elapsed() - time.Duration(g.begin.Load()) }

// hire makes a closed load's users as many as there should be; surplus ones leave when they have thought.
func (g *generator) hire(want int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.crew = want
	for id := range want {
		if id == len(g.here) {
			g.here = append(g.here, false)
		}
		if !g.here[id] {
			g.here[id] = true
			go g.user(id, rand.New(rand.NewPCG(g.rng.Uint64(), uint64(id))))
		}
	}
}

// leaves reports whether a user is surplus, and notes that it goes.
func (g *generator) leaves(id int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id < g.crew && !g.stop.Load() {
		return false
	}
	g.here[id] = false
	return true
}

// user thinks, sends a request, waits for its answer, and thinks again, for as long as the crew has room for it.
func (g *generator) user(id int, rng *rand.Rand) {
	shares := make([]float64, len(g.boot.Blueprint.App.Endpoints))
	pause := time.Duration(0)
	for {
		l := g.load.Load()
		time.Sleep(pause + time.Duration(rng.ExpFloat64()*float64(l.Think)))
		if g.leaves(id) {
			return
		}
		at := g.clock.Elapsed()
		pause = 0
		if err := g.request(l.Pick(g.offset(), rng, shares), at); err != nil && l.Think == 0 {
			pause = turn // a failure may come at once: don't hammer
		}
	}
}
