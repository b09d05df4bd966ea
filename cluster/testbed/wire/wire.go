// Package wire is what the testbed's parent and its child processes say to each other: one JSON object on each line,
// the parent's on a child's standard input and the child's on its standard output.
//
//	parent → child   boot     once, first: what to be
//	                 routes   where the replicas of each service listen; answered by ack
//	                 begin    users alone: when the load's offset 0 is
//	                 load     users alone: what they do from now on; its offset 0 is now
//	                 drain    replicas: finish what is in flight and end; users: send no more, give the figures and end
//	child → parent   metrics  where it serves metrics, of replicas that do; before ready
//	                 ready    it listens (replicas) or may begin (users)
//	                 ack      the routes of this version are in use
//	                 dropped  spans lost so far because the queue was full or the receiver refused them
//	                 figures  users alone, each second and at the end
//	                 fault    why the child ends, or what went wrong
//
// The end of its standard input means to a child that its parent is gone: it ends at once.
package wire

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/load"
)

// Boot says what a child is to be.
type Boot struct {
	Blueprint *foresail.Blueprint
	Service   foresail.ServiceID // of a replica
	Name      string             // of a replica, or "users"
	Seed      uint64
	OTLP      string // host:port of the OTLP receiver
	InFlight  string // of a replica: host:port of the OTLP/HTTP receiver that it reports its requests in flight to; empty: it doesn't
	Dir       string // the run directory
	Epoch     Epoch
	Cold      bool          // of a replica: it warms up; the first ones don't
	Admitted  time.Duration // of a cold replica, since the epoch: when its start-up delay is over; no caller knows of it before
	Procs     int           // threads of the process that compute at once
	GCPercent int           // of a replica: how much its heap may grow until it is collected
	Metrics   bool          // of a replica: it serves metrics for Prometheus
	Contend   bool          // of a replica: neighbours can take caches and the disk from it
	Traffic   int           // of a replica: the descriptor of the memory in which it counts the bytes of its messages
	Load      *load.Load    // of users
	Limit     int           // of users: requests outstanding at most
}

// Routes are where the ready replicas of each service listen, by ServiceID.
type Routes struct {
	Version   int
	Addresses [][]string
}

// ToChild is one line to a child; one of its fields is set.
type ToChild struct {
	Boot   *Boot          `json:"boot,omitempty"`
	Routes *Routes        `json:"routes,omitempty"`
	Begin  *time.Duration `json:"begin,omitempty"` // since the epoch
	Load   *load.Load     `json:"load,omitempty"`
	Drain  bool           `json:"drain,omitempty"`
}

// ToParent is one line to the parent; one of its fields is set.
type ToParent struct {
	Ready   string   `json:"ready,omitempty"`   // the address it listens on, "-" for none
	Metrics string   `json:"metrics,omitempty"` // the address where it serves metrics; it comes before Ready
	Ack     int      `json:"ack,omitempty"`
	Dropped int64    `json:"dropped,omitempty"`
	Figures *Figures `json:"figures,omitempty"`
	Fault   string   `json:"fault,omitempty"`
}

// Figures are what users counted themselves, since the start.
type Figures struct {
	At        time.Duration // since the epoch
	Endpoints []EndpointFigures
	Behind    time.Duration // the newest request was sent so long after its intended time
	Final     bool          // no more will come
}

// EndpointFigures are what users counted of one endpoint, by EndpointID.
type EndpointFigures struct {
	Sent    int64 // requests whose time had come
	Ended   int64 // of those, answered or given up; failed ones included
	Errors  int64 // failed, refused or timed out
	Refused int64 // of those, not sent because too many were outstanding
	Late    int64 // over the objective's latency, or failed
	Latency Sketch
}

// maxLine bounds one message: the largest is a boot with its application.
const maxLine = 16 << 20

// Writer writes messages; it is safe for concurrent use.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes one message as one line.
func (w *Writer) Write(m any) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.w.Write(append(b, '\n'))
	return err
}

// Read hands each line of r, decoded, to each, until the end of r or the first error. A line that is no message is an
// error.
func Read[M any](r io.Reader, each func(M) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), maxLine)
	for s.Scan() {
		var m M
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			return fmt.Errorf("read message: %w", err)
		}
		if err := each(m); err != nil {
			return err
		}
	}
	return s.Err()
}
