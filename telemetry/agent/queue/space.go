// Package queue sees how many requests wait, without any help of the application: from the kernel's own view of TCP
// sockets (sock_diag), as Seer's network-only mode does.
//
// A listening socket tells how many connections wait to be accepted. A connection that was accepted tells how many
// bytes have come that nobody has read, and how long ago bytes last came and went: where they came last, a request is
// being worked on. With one request at a time on a connection, as in HTTP/1.1, that is the number in flight; with
// several, as in HTTP/2, it is a lower bound, and so it is where a request comes within the same tick of the kernel's
// clock (1 to 10 ms) in which the answer before it went. A connection belongs to the listening socket whose address and
// port it has.
//
// The kernel answers a question for one listening socket in a few microseconds, and one for all connections by walking
// through a table that all network namespaces share. So listening sockets are asked one by one each beat, and
// connections as often as a budget of CPU time allows.
package queue

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Listener is a listening socket.
type Listener struct {
	Owner    int // whose it is, for who asks; a new one has NoOwner, and none below 0 is asked for
	Inode    uint32
	family   uint8
	shared   bool // others listen on the same address (SO_REUSEPORT): it can't be asked for alone
	id       [idSize]byte
	next     int32  // another one with the same port; -1: none
	Backlog  uint32 // connections that wait to be accepted
	Limit    uint32 // how many may
	Unread   uint32 // accepted connections with bytes that nobody has read
	Bytes    uint64 // these bytes
	Busy     uint32 // accepted connections whose last bytes came in
	Accepted uint32 // accepted connections
}

// NoOwner is the owner of a listening socket that nobody claimed.
const NoOwner = -1

// MaxListeners is how many listening sockets of one namespace are looked at.
const MaxListeners = 4096

// Space is a network namespace. It is used by one goroutine at a time.
type Space struct {
	fd        int
	seq       uint32
	Listeners []Listener
	Newcomers bool // the newest Discover found some that were not there before
	Settled   bool // in the newest Connections, none had bytes to be read or waited to be accepted
	old       []Listener
	ports     map[uint16]int32 // to the first listener with the port
	out, in   []byte
	message   message // of a dump

	// Methods as values, made once, so that a beat makes none.
	onListener, onShared, onConnection func(*message)
}

// OpenSpace opens the namespace that a path names, for example "/proc/42/ns/net"; empty: this process's own.
func OpenSpace(path string) (*Space, error) {
	fd, err := dial(path)
	if err != nil {
		return nil, err
	}
	s := &Space{fd: fd, ports: map[uint16]int32{}, out: make([]byte, 0, batch*requestSize), in: make([]byte, 16<<10)}
	s.onListener, s.onShared, s.onConnection = s.found, s.shared, s.connection
	if err := s.Discover(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close gives the namespace up.
func (s *Space) Close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}

// Discover lists the listening sockets anew. Those that were there keep their owners.
func (s *Space) Discover() error {
	s.old, s.Listeners, s.Newcomers = s.Listeners, s.old[:0], false
	clear(s.ports)
	for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
		if err := s.dump(family, 1<<stateListen, 0, s.onListener); err != nil {
			return err
		}
	}
	return nil
}

// found takes a listening socket of a dump.
func (s *Space) found(m *message) {
	if len(s.Listeners) == MaxListeners {
		return
	}
	l := Listener{Owner: NoOwner, Inode: m.inode, family: m.family, id: m.id, next: -1, Backlog: m.received, Limit: m.sent}
	port := binary.BigEndian.Uint16(m.id[0:])
	first, taken := s.ports[port]
	if taken {
		l.next = first
		for k := first; k >= 0; k = s.Listeners[k].next {
			if o := &s.Listeners[k]; o.family == l.family && string(o.id[4:20]) == string(l.id[4:20]) {
				l.shared, o.shared = true, true
			}
		}
	}
	known := false
	for i := range s.old {
		if o := &s.old[i]; o.Inode == l.Inode && l.Inode != 0 {
			l.Owner, l.Unread, l.Bytes, l.Busy, l.Accepted = o.Owner, o.Unread, o.Bytes, o.Busy, o.Accepted
			known = true
			break
		}
	}
	s.Newcomers = s.Newcomers || !known
	s.ports[port] = int32(len(s.Listeners))
	s.Listeners = append(s.Listeners, l)
}

// Backlogs reads how many connections wait at each listening socket that somebody owns. gone tells that some are no
// longer there.
func (s *Space) Backlogs() (gone bool, err error) {
	shared := false
	for from := 0; from < len(s.Listeners); {
		s.out = s.out[:0]
		first, asked := s.seq+1, 0
		i := from
		for ; i < len(s.Listeners) && asked < batch; i++ {
			l := &s.Listeners[i]
			if l.Owner < 0 {
				continue
			}
			if l.shared {
				shared = true
				continue
			}
			asked++
			s.out = appendRequest(s.out, unix.NLM_F_REQUEST, first+uint32(i-from), l.family, 0xffffffff, 0, &l.id)
		}
		s.seq = first + uint32(i-from)
		if asked > 0 {
			missed, err := s.answers(first, from, asked)
			if err != nil {
				return false, err
			}
			gone = gone || missed
		}
		from = i
	}
	if shared {
		for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
			if err := s.dump(family, 1<<stateListen, 0, s.onShared); err != nil {
				return false, err
			}
		}
	}
	return gone, nil
}

// answers takes as many answers as questions were sent.
func (s *Space) answers(first uint32, from, asked int) (gone bool, err error) {
	if _, err := unix.Write(s.fd, s.out); err != nil {
		return false, fmt.Errorf("socket queues: %w", err)
	}
	m := &s.message
	for asked > 0 {
		n, err := s.read()
		if err != nil {
			return false, err
		}
		for b := s.in[:n]; len(b) > 0; {
			var ok bool
			if b, ok = m.next(b); !ok {
				break
			}
			i := int(m.seq-first) + from
			if m.seq-first > batchSpan || i >= len(s.Listeners) {
				continue // of a question that was given up
			}
			asked--
			l := &s.Listeners[i]
			switch {
			case m.kind == unix.NLMSG_ERROR || m.inode != l.Inode:
				gone, l.Backlog = true, 0
			default:
				l.Backlog, l.Limit = m.received, m.sent
			}
		}
	}
	return gone, nil
}

// shared takes, of a dump, what listens on an address with others.
func (s *Space) shared(m *message) {
	for k, ok := s.ports[binary.BigEndian.Uint16(m.id[0:])]; ok && k >= 0; k = s.Listeners[k].next {
		if l := &s.Listeners[k]; l.Inode == m.inode {
			l.Backlog, l.Limit = m.received, m.sent
		}
	}
}

// Connections reads what the accepted connections of all listening sockets tell.
func (s *Space) Connections() error {
	for i := range s.Listeners {
		l := &s.Listeners[i]
		l.Unread, l.Bytes, l.Busy, l.Accepted = 0, 0, 0, 0
	}
	s.Settled = true
	if len(s.Listeners) == 0 {
		return nil
	}
	for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
		if !s.listens(family) {
			continue
		}
		if err := s.dump(family, 1<<stateEstablished|1<<stateCloseWait, 1<<(diagInfo-1), s.onConnection); err != nil {
			return err
		}
	}
	return nil
}

// listens tells whether somebody listens in a family.
func (s *Space) listens(family uint8) bool {
	for i := range s.Listeners {
		if s.Listeners[i].family == family {
			return true
		}
	}
	return false
}

// connection takes a connection of a dump. One without an inode waits to be accepted: the backlog counts it.
func (s *Space) connection(m *message) {
	l := s.of(m)
	if l == nil {
		return
	}
	if m.inode == 0 {
		s.Settled = false
		return
	}
	l.Accepted++
	if m.received > 0 {
		s.Settled = false
		l.Unread++
		l.Bytes += uint64(m.received)
	}
	if m.busy() {
		l.Busy++
	}
}

// of is the listening socket that a connection came by; nil: none. One on the very address goes before one on any.
func (s *Space) of(m *message) (found *Listener) {
	k, ok := s.ports[binary.BigEndian.Uint16(m.id[0:])]
	for ; ok && k >= 0; k = s.Listeners[k].next {
		l := &s.Listeners[k]
		switch local, at := m.local(), address(l.family, &l.id); {
		case l.family != m.family:
		case local == at:
			return l
		case at == anyAddress(at):
			found = l
		}
	}
	return found
}
