package insight

import (
	"time"

	"foresail.dev"
)

// Kind is what an insight is about.
type Kind string

// The kinds.
const (
	Hotspot Kind = "hotspot"  // violations of an endpoint that began in one service
	Chatty  Kind = "chatty"   // many calls from one service to another for each request
	Cycle   Kind = "cycle"    // services that call each other in a ring
	Blocked Kind = "blocking" // requests that wait in a service while its CPU is idle
	FanOut  Kind = "fan-out"  // many services called for each request
	Timeout Kind = "timeout"  // calls that take longer than the objective and still succeed
	Retries Kind = "retries"  // calls that fail bring more calls about
)

// Insight is one thing that was found.
type Insight struct {
	Kind      Kind
	Endpoint  string   // of a hotspot and a timeout
	Service   string   // where it is: the culprit, the caller of a pair; empty where no service stood out
	Operation string   // of the service, where traces tell it
	Callee    string   // of a pair; of a hotspot the culprit's caller is in From
	From      string   // of a hotspot: from which service most calls came; empty: from users
	Ring      []string // of a cycle, in calling order
	Resource  string   // of a hotspot, where counters tell: "cpu", "memory", "disk", "network"; empty: not known

	Windows  int       // violated windows that it took part in: what it costs
	Episodes int       // of those, such that began an episode
	Requests float64   // requests or calls behind its numbers
	First    time.Time // of the time that its numbers are of
	Last     time.Time

	Numbers []Number // the evidence
	Notes   []string // what the evidence leaves open
	Trace   foresail.TraceID
	Change  string // what to change
}

// Number is one piece of evidence.
type Number struct {
	Name  string // with its unit at the end, as in "latency_ms"; a share is "…_share"
	Value float64
}

// Endpoint is how often an endpoint's objective was missed.
type Endpoint struct {
	Name      string
	Objective foresail.Objective
	Windows   int // judged
	Violated  int
	Episodes  int
	Requests  float64
	Late      float64 // over the objective's latency, or failed
}

// Report is what was found.
type Report struct {
	From, To  time.Time
	Observed  time.Duration // of that time
	Calm      time.Duration // of that, without a missed objective
	Traces    int           // sampled
	Endpoints []Endpoint    // those that have an objective
	Insights  []Insight     // those that cost most first
	Missing   []string      // what was not observed, and what could not be said therefore
}
