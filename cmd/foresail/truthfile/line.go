// Package truthfile is the form of the files that injected faults are told in; see docs/formats/truth.md.
package truthfile

import (
	"time"

	"foresail.dev/fault"
)

// Line is one line.
type Line struct {
	At         time.Time `json:"at"`
	Moment     string    `json:"moment"`
	Number     *int      `json:"number,omitempty"`
	Kind       string    `json:"kind,omitempty"`
	For        float64   `json:"for_seconds,omitempty"`
	Service    string    `json:"service,omitempty"`
	Share      float64   `json:"share,omitempty"`
	Operation  string    `json:"operation,omitempty"`
	Replica    string    `json:"replica,omitempty"`
	From       string    `json:"from,omitempty"`
	To         string    `json:"to,omitempty"`
	Node       string    `json:"node,omitempty"`
	Amount     float64   `json:"amount,omitempty"`
	Length     float64   `json:"length_seconds,omitempty"`
	Period     float64   `json:"period_seconds,omitempty"`
	Jitter     float64   `json:"jitter,omitempty"`
	Errors     float64   `json:"errors,omitempty"`
	Leak       float64   `json:"leak_bytes_per_second,omitempty"`
	Replicas   []string  `json:"replicas,omitempty"`
	Nodes      []string  `json:"nodes,omitempty"`
	Services   []string  `json:"services,omitempty"`
	Generation int       `json:"generation,omitempty"`
}

// Of is the line of one moment of a fault or an update.
func Of(t fault.Truth) Line {
	l := Line{At: t.At, Moment: t.Moment.String(), Replicas: t.Replicas, Nodes: t.Nodes, Services: t.Services, Generation: t.Generation}
	if t.Moment == fault.Updates {
		return l
	}
	f := &t.Fault
	l.Number, l.Kind, l.For = &t.Number, f.Kind.String(), f.For.Seconds()
	l.Service, l.Share, l.Operation, l.Replica, l.From, l.To, l.Node = f.Service, f.Share, f.Operation, f.Replica, f.From, f.To, f.Node
	l.Amount, l.Length, l.Period, l.Jitter = f.Amount, f.Length.Seconds(), f.Period.Seconds(), f.Jitter
	l.Errors, l.Leak = f.Errors, f.Leak
	return l
}
