package testbed

import (
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Summary is what the users counted themselves, each request from its intended send time; no span stands between.
type Summary struct {
	At    time.Time // steady time of the count
	Final bool      // the users have stopped
	// Behind is how long after its intended time the newest request of an open load was sent. More than a moment means
	// that this machine can't send what the load asks for, though each request still counts from its intended time.
	Behind    time.Duration
	Endpoints []EndpointSummary
}

// EndpointSummary is what the users counted of one endpoint, by EndpointID.
type EndpointSummary struct {
	Sent    int64          // requests whose time had come
	Ended   int64          // of those, answered or given up; failed ones included
	Errors  int64          // failed, refused or timed out
	Refused int64          // of those, not sent because too many were outstanding
	Late    int64          // over the objective's latency, or failed
	Latency *sketch.Sketch // seconds, of requests that did not fail
}

// Summary is the users' newest count: at most about a second old, and the final one after Close.
func (c *Cluster) Summary() Summary {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := Summary{At: c.clock.At(c.figures.At), Final: c.figures.Final, Behind: c.figures.Behind, Endpoints: make([]EndpointSummary, len(c.App().Endpoints))}
	for i := range out.Endpoints {
		out.Endpoints[i].Latency = sketch.New()
		if i < len(c.figures.Endpoints) {
			f := &c.figures.Endpoints[i]
			out.Endpoints[i] = EndpointSummary{Sent: f.Sent, Ended: f.Ended, Errors: f.Errors, Refused: f.Refused, Late: f.Late, Latency: f.Latency.Clone()}
		}
	}
	return out
}

var _ foresail.Cluster = (*Cluster)(nil)

// UsersCPU is the CPU that the users' process has used so far; 0 when it is gone.
func (c *Cluster) UsersCPU() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crowd == nil || c.closing {
		return 0
	}
	s, err := c.crowd.Read()
	if err != nil {
		return 0
	}
	return s.CPU
}
