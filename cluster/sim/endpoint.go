package sim

import (
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/users"
	"foresail.dev/load"
)

// endpointStats counts what a snapshot tells of an endpoint, since the beat began.
type endpointStats struct {
	objective int64 // ns; 0: none
	usage     usage // inFlight is not used
	late      float64
	firstLate int64 // never: none
}

// SetLoad changes the load from now on; its offset 0 is now. Call it between two calls of Next.
func (c *Cluster) SetLoad(l *load.Load) { c.users.SetLoad(l.Seeded(c.cfg.Seed)) }

// request lets a user's request out.
func (c *Cluster) request(r users.Request) {
	c.endpoints[r.Endpoint].usage.arrivals++
	ci, k := c.newCall(c.program.Entries+int32(r.Endpoint), r.Needs)
	k.sent, k.closed = c.queue.Now(), r.Closed
	if c.cfg.Spans != nil && c.cfg.TraceShare > 0 {
		chosen := chance.Stream(chance.Mix(uint64(c.tracing) + r.Number*chance.Golden))
		k.sampled = chosen.Float() < c.cfg.TraceShare
	}
	c.ask(ci, k)
}

// requestDone ends a user's request, all attempts included.
func (c *Cluster) requestDone(ci int32, k *call, failed bool) {
	took, sent, closed := c.queue.Now()-k.sent, k.sent, k.closed
	endpoint := c.program.Calls[k.def].Endpoint
	e := &c.endpoints[endpoint]
	c.calls.Give(ci)
	e.usage.completions++
	if failed {
		e.usage.errors++
	} else {
		c.endpointsTook.Add(endpoint, took)
	}
	if e.objective > 0 && (failed || took > e.objective) {
		e.late++
		e.firstLate = min(e.firstLate, sent)
	}
	if closed {
		c.users.Answered(took)
	}
}
