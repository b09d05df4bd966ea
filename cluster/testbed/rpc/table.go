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
	now atomic.Pointer[[][]*peer] // by ServiceID
	mu  sync.Mutex                // one Set at a time
}

// peer is one replica as this caller sees it.
type peer struct {
	address     string
	outstanding atomic.Int64 // this caller's requests that it has not answered
}

// Set replaces the table. A replica that stays keeps its count of outstanding requests.
func (t *Table) Set(r *wire.Routes) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := map[string]*peer{}
	if old := t.now.Load(); old != nil {
		for _, peers := range *old {
			for _, p := range peers {
				known[p.address] = p
			}
		}
	}
	table := make([][]*peer, len(r.Addresses))
	for i, addresses := range r.Addresses {
		for _, a := range addresses {
			if known[a] == nil {
				known[a] = &peer{address: a}
			}
			table[i] = append(table[i], known[a])
		}
	}
	t.now.Store(&table)
}

// peers are the replicas of a service that are ready.
func (t *Table) peers(s foresail.ServiceID) []*peer {
	if table := t.now.Load(); table != nil && int(s) < len(*table) {
		return (*table)[s]
	}
	return nil
}

// pick is, of two ready replicas drawn at random, the one with fewer of this caller's requests outstanding: the power of
// two choices, with what a caller can know. It is nil when none is ready.
func (t *Table) pick(s foresail.ServiceID, uniform func() float64) *peer {
	ready := t.peers(s)
	switch n := len(ready); n {
	case 0:
		return nil
	case 1:
		return ready[0]
	default:
		i, j := int(uniform()*float64(n)), int(uniform()*float64(n-1))
		if j >= i {
			j++
		}
		if ready[j].outstanding.Load() < ready[i].outstanding.Load() {
			i = j
		}
		return ready[i]
	}
}
