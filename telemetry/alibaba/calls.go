package alibaba

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"foresail.dev"
	"foresail.dev/telemetry/group"
	"foresail.dev/telemetry/source"
)

// call is one row of a call graph.
type call struct {
	rpcid              string
	um, umInstance     string // empty: missing
	dm, dmInstance     string
	what               string // the interface, or else how it was called
	service            string // online service; v2022
	at                 int64  // ms since the start
	rt                 int64  // ms; negative: as the callee saw it
	message, two, user bool   // over a message queue; told by both sides; called by a user
}

// callGraph reads a table of calls.
func (r *Reader) callGraph(h *source.Header) (func([][]byte) error, error) {
	col, err := need(h, []string{"timestamp"}, []string{"traceid"}, []string{"rpcid", "rpc_id"}, []string{"um"}, []string{"dm"}, []string{"rpctype"}, []string{"rt"})
	if err != nil {
		return nil, err
	}
	iface, service := h.Column("interface"), h.Column("service")
	umi, dmi := h.Column("uminstanceid"), h.Column("dminstanceid")
	text := func(f [][]byte, i int) string {
		if i < 0 {
			return ""
		}
		return r.name(f[i])
	}
	return func(f [][]byte) error {
		c := call{um: r.name(f[col[3]]), dm: r.name(f[col[4]]), what: text(f, iface), service: text(f, service), umInstance: text(f, umi), dmInstance: text(f, dmi)}
		var err error
		if c.at, err = timestamp(f[col[0]]); err != nil {
			return err
		}
		if len(f[col[1]]) == 0 {
			return errors.New("traceid: it is missing")
		}
		if c.rpcid = string(f[col[2]]); !validPath(c.rpcid) {
			return fmt.Errorf("rpcid %.40q is not a path such as 0.1.2", c.rpcid)
		}
		var ok bool
		if c.rt, ok = whole(f[col[6]]); !ok || c.rt > 1e9 || c.rt < -1e9 {
			return fmt.Errorf("rt %.30q is not in milliseconds", f[col[6]])
		}
		how := r.name(f[col[5]])
		switch strings.ToLower(how) {
		case "mq":
			c.message = true
		case "rpc", "http":
			c.two = true
		}
		if c.what == "" {
			c.what = how
		}
		if c.user = strings.EqualFold(c.um, "USER"); c.user {
			c.um = ""
		}
		r.counts.Rows++
		if g := r.traces.Add(0, traceID(f[col[1]]), c); g != nil {
			return r.trace(g)
		}
		return nil
	}, nil
}

// validPath tells whether an rpcid is numbers with points between.
func validPath(s string) bool {
	digit := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digit = true
		case c == '.' && digit:
			digit = false
		default:
			return false
		}
	}
	return digit && len(s) < 1<<12
}

// traceID is a hexadecimal id as it is, and a hash of any other.
func traceID(b []byte) (id foresail.TraceID) {
	if unhex(&id, b) && id != (foresail.TraceID{}) {
		return id
	}
	binary.BigEndian.PutUint64(id[:], hash(offset, b))
	binary.BigEndian.PutUint64(id[8:], hash(^uint64(offset), b))
	return id
}

// unhex reads hexadecimal digits, zeros in front left out. It is what source.Hex does, for the millions of ids that are not.
func unhex(id *foresail.TraceID, b []byte) bool {
	if len(b) > 2*len(id) {
		return false
	}
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return false
		}
		at := 2*len(id) - len(b) + i
		id[at/2] |= c << (4 * (1 - at%2))
	}
	return true
}

const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a

// hash goes on from h.
func hash[T string | []byte](h uint64, b T) uint64 {
	for i := 0; i < len(b); i++ {
		h = (h ^ uint64(b[i])) * prime
	}
	return h
}

// spanID is one side's of the nth call under an rpcid.
func spanID(rpcid string, nth int, side byte) (id foresail.SpanID) {
	tail := [...]byte{'/', byte(nth), byte(nth >> 8), byte(nth >> 16), side}
	binary.BigEndian.PutUint64(id[:], hash(hash(offset, rpcid), tail[:]))
	return id
}

// trace turns the rows of a trace into spans.
func (r *Reader) trace(g *group.Group[foresail.TraceID, call]) error {
	spans := r.pairs.spans(g.Key, g.Items, r.o.Epoch, &r.counts)
	if len(spans) == 0 {
		return nil
	}
	if err := r.c.AddSpans(spans); err != nil {
		return source.Stop(err)
	}
	return nil
}
