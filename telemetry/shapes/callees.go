package shapes

import "foresail.dev"

// callees looks at client spans beneath which no request lies. Where what they call is known to report, something is missing, and
// it returns false; but a call that failed may not have got there. Where the callee's name is known, a visit is made of it.
func (t *tree) callees() bool {
	whole := true
	for _, i := range t.order {
		n, s := &t.nodes[i], &t.spans[i]
		if n.kind != foresail.KindClient || t.ops[s.op].id == noOne || n.within == noOne {
			continue
		}
		if n.answered {
			o := &t.ops[s.op]
			o.reports.see(true, reporting)
			if n.answers == 1 {
				t.learnCallee(i)
			}
			continue
		}
		o := &t.ops[s.op]
		if !s.failed {
			o.reports.see(false, reporting)
			if o.reports.is {
				whole = false
				continue
			}
		}
		called := t.calledByName(s.op)
		if o = &t.ops[s.op]; s.failed && o.calls >= 0 {
			called = o.calls
		}
		if called == noOne {
			continue
		}
		n.begins = int32(len(t.found))
		t.found = append(t.found, visit{op: called, parent: n.within, span: i, client: i, from: s.start, to: s.end, begun: s.start, over: s.end,
			failed: s.failed, byCaller: true, first: noOne, next: noOne, slot: noOne, mate: noOne})
	}
	return whole
}

// learnCallee notes which operation a client span called.
func (t *tree) learnCallee(client int32) {
	o := &t.ops[t.spans[client].op]
	for c := t.nodes[client].first; c != noOne; c = t.nodes[c].next {
		if b := t.nodes[c].begins; b != noOne {
			switch op := t.found[b].op; {
			case o.calls == noOne:
				o.calls = op
			case o.calls != op:
				o.calls = unsure
			}
			return
		}
	}
}
