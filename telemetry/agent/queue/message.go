package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What linux/sock_diag.h, inet_diag.h and tcp.h define.
const (
	sockDiagByFamily = 20
	diagInfo         = 2 // INET_DIAG_INFO
	stateEstablished = 1
	stateCloseWait   = 8
	stateListen      = 10

	headerSize  = 16
	idSize      = 48 // inet_diag_sockid: ports, addresses, interface, cookie
	requestSize = headerSize + 8 + idSize
	messageSize = 72 // inet_diag_msg

	infoSent     = 44 // of tcp_info: milliseconds since bytes were last sent
	infoReceived = 52 // … and since they came
	infoSegsIn   = 152
	infoSegsOut  = 156
)

// How many questions go in one write. Their answers must fit into the socket's buffer.
const (
	batch     = 64
	batchSpan = MaxListeners
)

// appendRequest writes a question: an inet_diag_req_v2 for one socket, or, with NLM_F_DUMP, for all in some states.
func appendRequest(b []byte, flags uint16, seq uint32, family uint8, states uint32, extensions uint8, id *[idSize]byte) []byte {
	b = binary.NativeEndian.AppendUint32(b, requestSize)
	b = binary.NativeEndian.AppendUint16(b, sockDiagByFamily)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, family, unix.IPPROTO_TCP, extensions, 0)
	b = binary.NativeEndian.AppendUint32(b, states)
	return append(b, id[:]...)
}

// message is one message of the kernel.
type message struct {
	kind     uint16
	seq      uint32
	errno    int32 // of an error
	family   uint8
	id       [idSize]byte
	received uint32 // bytes not read; of a listening socket: connections that wait
	sent     uint32 // bytes not acknowledged; of a listening socket: how many may wait
	inode    uint32
	info     []byte // tcp_info, where asked for
}

// next reads the first message of b and returns the rest; false when there is none whole.
func (m *message) next(b []byte) (rest []byte, ok bool) {
	if len(b) < headerSize {
		return nil, false
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n < headerSize || n > len(b) {
		return nil, false
	}
	body := b[headerSize:n]
	*m = message{kind: binary.NativeEndian.Uint16(b[4:]), seq: binary.NativeEndian.Uint32(b[8:])}
	switch {
	case m.kind == unix.NLMSG_ERROR && len(body) >= 4:
		m.errno = int32(binary.NativeEndian.Uint32(body))
	case m.kind == sockDiagByFamily:
		if len(body) < messageSize {
			return nil, false
		}
		m.family = body[0]
		copy(m.id[:], body[4:])
		m.received = binary.NativeEndian.Uint32(body[56:])
		m.sent = binary.NativeEndian.Uint32(body[60:])
		m.inode = binary.NativeEndian.Uint32(body[68:])
		m.info = attribute(body[messageSize:], diagInfo)
	}
	return b[min((n+3)&^3, len(b)):], true
}

// attribute finds an attribute's bytes.
func attribute(b []byte, kind uint16) []byte {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return nil
		}
		if binary.NativeEndian.Uint16(b[2:]) == kind {
			return b[4:n]
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// busy tells whether bytes came last, rather than went. Where both did in the same tick of the kernel's clock, the
// connection is new and nothing has gone yet, or the answer went at once.
func (m *message) busy() bool {
	if len(m.info) < infoSegsOut+4 {
		return m.received > 0
	}
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(m.info[at:]) }
	sent, received := u32(infoSent), u32(infoReceived)
	switch {
	case u32(infoSegsIn) == 0:
		return false
	case received == sent:
		return u32(infoSegsOut) == 0
	}
	return received < sent
}

func (m *message) local() netip.Addr { return address(m.family, &m.id) }

// address is a socket's own; an IPv4 one within IPv6 is IPv4.
func address(family uint8, id *[idSize]byte) netip.Addr {
	if family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(id[4:8]))
	}
	return netip.AddrFrom16([16]byte(id[4:20])).Unmap()
}

// anyAddress is what a listening socket has that takes connections to all addresses of a's family.
func anyAddress(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// read reads one datagram. The kernel has written it by the time the question was sent.
func (s *Space) read() (int, error) {
	for {
		n, err := unix.Read(s.fd, s.in)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("socket queues: %w", err)
		default:
			return n, nil
		}
	}
}

var noSocket [idSize]byte

// dump asks for all sockets of a family in some states, and hands each to take.
func (s *Space) dump(family uint8, states uint32, extensions uint8, take func(*message)) error {
	s.seq++
	s.out = appendRequest(s.out[:0], unix.NLM_F_REQUEST|unix.NLM_F_DUMP, s.seq, family, states, extensions, &noSocket)
	if _, err := unix.Write(s.fd, s.out); err != nil {
		return fmt.Errorf("socket queues: %w", err)
	}
	m := &s.message
	for {
		n, err := s.read()
		if err != nil {
			return err
		}
		for b := s.in[:n]; len(b) > 0; {
			var ok bool
			if b, ok = m.next(b); !ok {
				break
			}
			switch {
			case m.seq != s.seq: // of a question that was given up
			case m.kind == unix.NLMSG_DONE:
				return nil
			case m.kind == unix.NLMSG_ERROR:
				return fmt.Errorf("socket queues: %w", unix.Errno(-m.errno))
			case m.kind == sockDiagByFamily:
				take(m)
			}
		}
	}
}
