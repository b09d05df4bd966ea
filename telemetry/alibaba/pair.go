package alibaba

import (
	"slices"
	"strings"
	"time"

	"foresail.dev"
)

// pair is one call: as its caller saw it, as its callee did, or both. Numbers are those of rows.
type pair struct {
	caller, callee int // -1: not told
	um, dm         string
	nth            int // under its rpcid
}

// pairing makes spans of the rows of one trace. What it holds is used again for the next.
type pairing struct {
	rows    []call
	numbers map[string]int // of rpcids, as they first came
	ids     []string       // rpcids by number
	of      []int          // number of each row's rpcid
	sorted  []int          // rows by the number of their rpcid
	all     []pair
	ranges  [][2]int // of the pairs in all, by number
	over    []int    // callees' rows without a caller's
}

// spans are those of one trace.
func (p *pairing) spans(trace foresail.TraceID, rows []call, epoch time.Time, counts *Counts) []foresail.Span {
	p.group(rows)
	p.all, p.ranges = p.all[:0], p.ranges[:0]
	at := 0
	for n := range p.ids {
		from := at
		for at < len(rows) && p.of[p.sorted[at]] == n {
			at++
		}
		first := len(p.all)
		p.all = append(p.all, p.match(p.all[first:first], p.sorted[from:at], counts)...)
		p.ranges = append(p.ranges, [2]int{first, len(p.all)})
	}
	for _, id := range p.ids {
		p.recover(id, counts)
	}
	out := make([]foresail.Span, 0, 2*len(p.all))
	for _, id := range p.ids {
		pairs := p.under(id)
		for k := range pairs {
			out = p.add(out, trace, id, &pairs[k], epoch, counts)
		}
	}
	return out
}

// group numbers the rpcids and sorts the rows by them.
func (p *pairing) group(rows []call) {
	p.rows, p.ids, p.of, p.sorted = rows, p.ids[:0], p.of[:0], p.sorted[:0]
	if p.numbers == nil {
		p.numbers = map[string]int{}
	}
	clear(p.numbers)
	for i := range rows {
		n, known := p.numbers[rows[i].rpcid]
		if !known {
			n = len(p.ids)
			p.numbers[rows[i].rpcid] = n
			p.ids = append(p.ids, rows[i].rpcid)
		}
		p.of = append(p.of, n)
		p.sorted = append(p.sorted, i)
	}
	slices.SortStableFunc(p.sorted, func(i, j int) int { return p.of[i] - p.of[j] })
}

// under are the pairs of an rpcid.
func (p *pairing) under(id string) []pair {
	n, known := p.numbers[id]
	if !known {
		return nil
	}
	return p.all[p.ranges[n][0]:p.ranges[n][1]]
}

// match pairs the rows of one rpcid, and appends to out.
func (p *pairing) match(out []pair, rows []int, counts *Counts) []pair {
	over := p.over[:0]
	for _, i := range rows {
		if p.rows[i].rt >= 0 {
			out = append(out, pair{caller: i, callee: -1})
		}
	}
	for _, i := range rows {
		if p.rows[i].rt < 0 && !p.join(out, i) {
			over = append(over, i)
		}
	}
	p.over = over
	out = p.joinZeros(out)
	free := len(out)
	for _, i := range over {
		if k := p.free(out[free:], i); k >= 0 { // both sides are negative
			q := &out[free+k]
			counts.Negative++
			q.caller = i
			if p.rows[q.callee].rt < p.rows[i].rt { // further from zero
				q.caller, q.callee = q.callee, i
			}
			continue
		}
		out = append(out, pair{caller: -1, callee: i})
	}
	for k := range out {
		q := &out[k]
		q.nth = k
		for _, i := range []int{q.caller, q.callee} {
			if i >= 0 {
				q.um, q.dm = p.either(q.um, p.rows[i].um, counts), p.either(q.dm, p.rows[i].dm, counts)
			}
		}
	}
	counts.Repeated += max(len(out)-1, 0)
	return out
}

// either is the name that is not missing.
func (p *pairing) either(known, other string, counts *Counts) string {
	if known == "" {
		return other
	}
	if other == "" {
		counts.Recovered++
	}
	return known
}

// join gives a callee's row to the first caller's that has none.
func (p *pairing) join(out []pair, i int) bool {
	for k := range out {
		if out[k].callee < 0 && p.agree(out[k].caller, i) {
			out[k].callee = i
			return true
		}
	}
	return false
}

// joinZeros joins two rows of a call that took less than a millisecond: neither has a sign. The callee's is one with 0.
func (p *pairing) joinZeros(out []pair) []pair {
	for k := 0; k < len(out); k++ {
		if out[k].callee >= 0 || !p.rows[out[k].caller].two {
			continue
		}
		for j := k + 1; j < len(out); j++ {
			a, b := out[k].caller, out[j].caller
			if out[j].callee >= 0 || !p.agree(a, b) || p.rows[a].rt != 0 && p.rows[b].rt != 0 {
				continue
			}
			if p.rows[a].rt == 0 && p.rows[b].rt > 0 {
				a, b = b, a
			}
			out[k].caller, out[k].callee = a, b
			out = append(out[:j], out[j+1:]...)
			break
		}
	}
	return out
}

// free is the first pair without a caller that a row agrees with; -1 when there is none.
func (p *pairing) free(out []pair, i int) int {
	for k := range out {
		if out[k].caller < 0 && p.agree(out[k].callee, i) {
			return k
		}
	}
	return -1
}

// agree tells whether the names of two rows don't contradict each other.
func (p *pairing) agree(i, j int) bool {
	a, b := &p.rows[i], &p.rows[j]
	same := func(x, y string) bool { return x == y || x == "" || y == "" }
	return same(a.um, b.um) && same(a.dm, b.dm) && same(a.what, b.what)
}

// above is the rpcid of the call that a call was made in; empty for a first one.
func above(rpcid string) string {
	if i := strings.LastIndexByte(rpcid, '.'); i >= 0 {
		return rpcid[:i]
	}
	return ""
}

// recover finds missing names in the calls above and below. Calls above come first in a trace that is in order; else one
// more level is found than there would be.
func (p *pairing) recover(id string, counts *Counts) {
	up, pairs := p.under(above(id)), p.under(id)
	for k := range pairs {
		q := &pairs[k]
		if len(up) == 0 {
			continue
		}
		if q.um == "" && up[0].dm != "" {
			q.um = up[0].dm
			counts.Recovered++
		}
		if len(up) == 1 && up[0].dm == "" && q.um != "" {
			up[0].dm = q.um
			counts.Recovered++
		}
	}
}

// add appends a call's spans.
func (p *pairing) add(out []foresail.Span, trace foresail.TraceID, id string, q *pair, epoch time.Time, counts *Counts) []foresail.Span {
	if q.dm == "" {
		counts.Unknown++
		return out
	}
	if q.caller < 0 || q.callee < 0 {
		if i := max(q.caller, q.callee); p.rows[i].two {
			counts.OneSided++
		}
	}
	seen, served := q.caller, q.callee
	if seen < 0 {
		seen = served
	}
	if served < 0 {
		served = seen
	}
	from, to := &p.rows[seen], &p.rows[served]
	span := func(c *call, side byte, kind foresail.SpanKind) foresail.Span {
		start := epoch.Add(time.Duration(c.at) * time.Millisecond)
		return foresail.Span{Trace: trace, ID: spanID(id, q.nth, side), Operation: first(from.what, to.what), Kind: kind,
			Start: start, End: start.Add(time.Duration(max(c.rt, -c.rt)) * time.Millisecond)}
	}
	server := span(to, 's', foresail.KindServer)
	server.Service, server.Replica = q.dm, first(to.dmInstance, from.dmInstance)
	if from.message {
		server.Kind = foresail.KindConsumer
	}
	up := above(id)
	if up == "" {
		if s := first(from.service, to.service); s != "" {
			server.Operation = s
		}
		return append(out, server)
	}
	parent := p.parent(up, q.um)
	if q.um == "" {
		server.Parent = parent
		return append(out, server)
	}
	client := span(from, 'c', foresail.KindClient)
	client.Service, client.Replica, client.Parent = q.um, first(from.umInstance, to.umInstance), parent
	if from.message {
		client.Kind, client.End = foresail.KindProducer, client.Start // how long sending took is not told
	}
	server.Parent = client.ID
	return append(out, client, server)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// parent is the server span that a call was made in: of several under the rpcid above, the one of the caller's service.
// Where no row has that rpcid, it is one that never comes.
func (p *pairing) parent(up, um string) foresail.SpanID {
	for _, q := range p.under(up) {
		if q.dm == um {
			return spanID(up, q.nth, 's')
		}
	}
	return spanID(up, 0, 's')
}
