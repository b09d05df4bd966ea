package foresail

import "time"

// Blueprint is how an application behaves inside: what a simulator or a testbed needs to run it. It comes from an
// application file and never reaches a manager or a model.
//
// Invariants, checked by whoever builds one: Services is indexed by ServiceID; every Target names an operation that is
// there; probabilities lie in 0..1; operations that call each other synchronously form no cycle unless Cycles names it.
type Blueprint struct {
	App      *App
	Services []ServiceBlueprint
	Entries  []Target   // by EndpointID: the operation that the endpoint calls
	Timeouts []Patience // by EndpointID: how long users wait and how often they try again
	// Cycles are declared cycles among synchronous calls, each the services in calling order.
	Cycles [][]ServiceID
	// Overhead is what the platform takes beside what operations demand. A simulator adds it; a testbed has its own.
	Overhead Overhead
}

// Overhead is what running an application takes beside what its operations demand: remote calls, tracing, the
// language's runtime, the network. The zero value is none of it. It is the same for all services, being the platform's
// and not the application's.
type Overhead struct {
	Caller  time.Duration // CPU of the caller for each call: half before the request leaves, half when the answer has come
	Callee  time.Duration // CPU of the callee for each request: half before its operation begins, half before it answers
	Network time.Duration // that each message is on its way, an answer like a request
	Users   time.Duration // that the users' side adds to each of its requests, half before and half after; beside Network
	// Stretch is CPU used per CPU demanded: what the runtime does while an operation computes. At least 1; 0 means 1.
	Stretch float64
	// Late is the share of messages whose receiver waits although a core could be had, and LateBy how long on average; these
	// waits are exponential. Kernels wake threads on cores that are taken, and balance them only now and then. Both or none.
	Late   float64
	LateBy time.Duration
	// Report is CPU that a replica uses to tell of what it did, ReportEvery after the first request since the last
	// report. Both or none.
	Report, ReportEvery time.Duration
}

// Patience is what a caller bears.
type Patience struct {
	Timeout time.Duration // 0: waits for ever
	Retries int           // further attempts after a failure, a refusal or a timeout
	Backoff time.Duration // mean wait before the first retry; it doubles with each
}

// ServiceBlueprint is how one service behaves.
type ServiceBlueprint struct {
	Operations []Operation
	Workers    int           // requests that one replica works on at once; 0: no limit
	Queue      int           // requests that wait for a worker in one replica; more are refused; 0: none wait
	Pool       int           // connections from one replica to one callee service: calls beyond wait; 0: no limit
	Start      time.Duration // from asking for a replica to its being ready
	Warmup     time.Duration // after that its CPU demand falls linearly from ColdFactor times to the normal one
	ColdFactor float64       // at least 1; 0 means 1
	BaseMemory int64         // bytes one replica holds when idle
	Pull       time.Duration // what a node takes to fetch its image, the first time; 0: it has it
	// Interference is how it gets on with its neighbours on a node; nil: as DefaultInterference says.
	Interference *Interference
}

// Operation is what a service does for one kind of request: its steps, one after the other.
type Operation struct {
	Name  string
	Steps []Step
	// Request and Response are the mean bytes of the message that asks for it and of its answer; 0: not known. An
	// operation that fails or is refused answers with next to nothing.
	Request, Response int64
}

// Step is own work, or calls made in parallel; when it has both, the work comes first. The next step starts when the
// work is done and all calls but the asynchronous ones have been answered.
type Step struct {
	Work  Demand
	Calls []Call
}

// Call is an RPC that a step makes.
type Call struct {
	Target      Target
	Probability float64 // that it is made at all; 0..1
	Repeat      int     // made this often, one after the other; at least 1
	Async       bool    // nobody waits for the answer
	Patience
	// Hit is, where Cached, the probability that the answer is there; otherwise Miss follows in the caller, its first
	// step when the answer has come.
	Cached bool
	Hit    float64
	Miss   []Step
	// Either, where it is not empty, is what the call stands for: one of these is made, each as likely, and the rest of the
	// call says nothing. None of them has an Either of its own. It is how callers spread over servers that differ, without
	// looking at how busy they are. A simulator knows it; application files and the testbed don't.
	Either []Call
}

// Target is an operation of a service.
type Target struct {
	Service   ServiceID
	Operation int // index into ServiceBlueprint.Operations
}

// Demand is what one visit needs of one replica.
type Demand struct {
	CPU    Dist  // seconds on a CPU
	IO     Dist  // seconds waiting for a disk, one request at a time for each replica
	Memory int64 // bytes held until the whole operation ends
	Read   int64 // bytes read from disk while IO lasts; 0: none
	Write  int64 // bytes written to disk while IO lasts; 0: none
}

// Dist is the distribution of a duration.
type Dist struct {
	Shape DistShape
	Mean  float64 // seconds; 0: none
	CV    float64 // standard deviation over mean; for Exponential it is 1
}

// DistShape is a family of distributions.
type DistShape uint8

// The families.
const (
	Constant DistShape = iota
	Exponential
	LogNormal
)

// String is the name that application files use.
func (s DistShape) String() string {
	return [...]string{"constant", "exponential", "lognormal"}[s]
}
