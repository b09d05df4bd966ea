package fault

import (
	"fmt"
	"strings"
	"time"
)

// Fault is one thing that goes wrong. Fields that its kind has no use for are zero.
type Fault struct {
	Kind Kind
	At   time.Duration // when it begins, from the start of the run
	For  time.Duration // how long it lasts; 0: to the end of the run
	Target
	Amount float64       // how bad, see Kind
	Length time.Duration // see Kind
	Period time.Duration // GCPause: mean time from the beginning of one pause to that of the next
	Jitter float64       // GCPause: each length and period is drawn evenly within 1 ± Jitter times its mean
	Errors float64       // BadRelease: share of requests that fail, 0..1
	Leak   float64       // BadRelease: bytes that each replica loses per second
}

// DefaultCallback is the CPU time of a BlockingCycle's call back where the fault gives none.
const DefaultCallback = time.Millisecond

// End is when it is over; ok is false when it lasts to the end of the run.
func (f *Fault) End() (at time.Duration, ok bool) { return f.At + f.For, f.For > 0 }

// Active reports whether it is going on at an instant: from At, which belongs to it, to its end, which does not.
func (f *Fault) Active(at time.Duration) bool {
	end, ends := f.End()
	return at >= f.At && (!ends || at < end)
}

// together reports whether two are going on at some one instant.
func (f *Fault) together(g *Fault) bool { return f.Active(g.At) || g.Active(f.At) }

// String reads like "lock on geo from 1m0s for 30s".
func (f *Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Kind.String())
	if on := f.Target.String(); on != "" {
		b.WriteString(" on " + on)
	}
	fmt.Fprintf(&b, " from %v", f.At)
	if f.For > 0 {
		fmt.Fprintf(&b, " for %v", f.For)
	} else {
		b.WriteString(" to the end")
	}
	return b.String()
}

// Target is what a fault hits, by names: services, operations, nodes and replicas come and go during a run. Of Service,
// the pair From and To, Node and Replica just one is given; a LoadSpike has none.
type Target struct {
	Service   string
	Operation string  // of Service; empty: all
	From, To  string  // the edge from a service to one that it calls
	Node      string  // by name
	Replica   string  // one replica by name, such as "geo-0"
	Share     float64 // of the replicas of Service that are there, rounded up; 0: all
}

// ServiceName is the service that Service or Replica names; empty for an edge, a node, or nothing.
func (t Target) ServiceName() string {
	if t.Replica == "" {
		return t.Service
	}
	return t.Replica[:max(strings.LastIndexByte(t.Replica, '-'), 0)]
}

// String reads like "geo", "50% of geo", "geo.nearby", "geo-0", "frontend -> search" or "node n1".
func (t Target) String() string {
	switch {
	case t.Node != "":
		return "node " + t.Node
	case t.From != "" || t.To != "":
		return t.From + " -> " + t.To
	case t.Replica != "":
		return t.Replica
	case t.Service == "":
		return ""
	}
	s := t.Service
	if t.Operation != "" {
		s += "." + t.Operation
	}
	if t.Share > 0 {
		s = fmt.Sprintf("%g%% of %s", t.Share*100, s)
	}
	return s
}

// meets reports whether two faults of one kind may hit the same thing. Shares of a service's replicas are drawn, so any
// two may. A node and a service are held apart: what runs where is not known beforehand, and a simulator adds both up.
func (t Target) meets(u Target) bool {
	switch {
	case t.edge() && u.edge():
		return t.From == u.From && t.To == u.To
	case t.edge():
		return u.ServiceName() != "" && (u.ServiceName() == t.From || u.ServiceName() == t.To)
	case u.edge():
		return u.meets(t)
	case t.Node != "" || u.Node != "":
		return t.Node == u.Node
	case t.ServiceName() != u.ServiceName():
		return false
	case t.Replica != "" && u.Replica != "":
		return t.Replica == u.Replica
	}
	return t.Operation == "" || u.Operation == "" || t.Operation == u.Operation
}

func (t Target) edge() bool { return t.From != "" || t.To != "" }
