package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"foresail.dev/telemetry/agent/probe"
)

// What crosses the network.
const (
	message  = 64 << 10        // bytes of a load's
	question = 16 << 10        // of a victim's
	patience = 2 * time.Second // until a peer that says nothing is gone
	largest  = 1 << 20         // a Sink takes no longer message
	idle     = time.Minute     // a Sink forgets who says nothing for so long
)

// network sends messages to a Sink, which answers each with one byte; a victim's are smaller.
func network(peer string, gentle bool) (*worker, func() error, error) {
	if peer == "" {
		return nil, nil, &Unavailable{probe.Network, "no peer is named that would take what crosses the network (--peer; 'foresail agent sink' is one)"}
	}
	conn, err := net.DialTimeout("tcp", peer, patience)
	if err != nil {
		return nil, nil, &Unavailable{probe.Network, fmt.Sprintf("its peer does not answer: %v", err)}
	}
	n := message
	if gentle {
		n = question
	}
	b := make([]byte, 4+n)
	binary.BigEndian.PutUint32(b, uint32(n))
	var answer [1]byte
	return &worker{chunk: func() error {
		err := conn.SetDeadline(time.Now().Add(patience))
		if err == nil {
			_, err = conn.Write(b)
		}
		if err == nil {
			_, err = io.ReadFull(conn, answer[:])
		}
		if err != nil {
			return fmt.Errorf("network probe: %w", err)
		}
		return nil
	}}, conn.Close, nil
}

// Sink takes what network probes send, and answers each message with one byte.
type Sink struct {
	l     net.Listener
	wait  sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]bool // nil: closed
}

// maxPeers is how many a Sink serves at once.
const maxPeers = 64

// Listen starts a Sink.
func Listen(addr string) (*Sink, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("sink of network probes: %w", err)
	}
	s := &Sink{l: l, conns: map[net.Conn]bool{}}
	s.wait.Go(s.accept)
	return s, nil
}

// Addr is where it listens.
func (s *Sink) Addr() string { return s.l.Addr().String() }

func (s *Sink) accept() {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond) // too many files, for one: later there may be room
			continue
		}
		s.mu.Lock()
		if s.conns == nil || len(s.conns) >= maxPeers {
			s.mu.Unlock()
			_ = conn.Close()
			continue
		}
		s.conns[conn] = true
		s.wait.Go(func() { s.serve(conn) })
		s.mu.Unlock()
	}
}

func (s *Sink) serve(conn net.Conn) {
	defer func() {
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		_ = conn.Close()
	}()
	var head [4]byte
	for {
		_ = conn.SetDeadline(time.Now().Add(idle)) // where it fails so does the next read
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > largest {
			return
		}
		if _, err := io.CopyN(io.Discard, conn, int64(n)); err != nil {
			return
		}
		if _, err := conn.Write(head[:1]); err != nil {
			return
		}
	}
}

// Close ends it.
func (s *Sink) Close() error {
	err := s.l.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.wait.Wait()
	return err
}
