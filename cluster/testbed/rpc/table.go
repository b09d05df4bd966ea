// Package rpc is how the testbed's processes call each other: HTTP/1.1 over kept-alive connections, balanced by the
// caller over the replicas that the parent's routing table names.
package rpc

import (
	"sync"
	"sync/atomic"

	"foresail.dev"
	"foresail.dev/cluster/testbed/wire"
)

// Table is a routing table that changes while it is used. The zero value routes nowhere.
type Table struct {
	now  atomic.Pointer[wire.Routes]
	next []atomic.Uint32 // by ServiceID: round robin
	once sync.Once
}

// Set replaces the table.
func (t *Table) Set(r *wire.Routes) {
	t.once.Do(func() { t.next = make([]atomic.Uint32, len(r.Addresses)) })
	t.now.Store(r)
}

// Pick is the replica of a service whose turn it is; empty when none is ready.
func (t *Table) Pick(s foresail.ServiceID) string {
	r := t.now.Load()
	if r == nil || int(s) >= len(r.Addresses) || len(r.Addresses[s]) == 0 {
		return ""
	}
	return r.Addresses[s][int(t.next[s].Add(1))%len(r.Addresses[s])]
}

// Replicas is how many replicas of a service are ready.
func (t *Table) Replicas(s foresail.ServiceID) int {
	if r := t.now.Load(); r != nil && int(s) < len(r.Addresses) {
		return len(r.Addresses[s])
	}
	return 0
}
