package shapes

import (
	"cmp"
	"encoding/binary"
	"slices"

	"foresail.dev"
	"foresail.dev/sketch"
)

// endpoint holds the forms that its requests took.
type endpoint struct {
	id      foresail.EndpointID
	forms   map[string]*form // by text
	kept    []*form          // told by themselves
	version int              // grows when kept changes
}

// form is one, told by itself or only counted.
type form struct {
	text  string
	count float64 // requests, of late
	kept  bool
	calls []calls
	near  *form // the kept form nearest to it, as of version
	at    int

	told  *foresail.Form // nil until it is kept
	slots []int32        // by canonical order: index into told.Visits

	// Since the last cut:
	requests, pooled float64
	latency          sketch.Sketch
	own              []sketch.Sketch
	// Of late, to compare what is pooled with:
	took, ended float64
}

// calls is how often a request visits a service.
type calls struct {
	service int32
	n       float64
}

// find is the form of a request; nil where it is not to have one of its own. A failed request ends early: what it looks like says
// little of what users ask for.
func (e *endpoint) find(text []byte, failed bool, n *names, most int) *form {
	if f, ok := e.forms[string(text)]; ok {
		return f
	}
	if failed && len(e.kept) > 0 {
		return nil
	}
	if len(e.forms) >= most*(1+others) {
		e.forget()
	}
	f := &form{text: string(text)}
	e.forms[f.text] = f
	visits := decode(n, text)
	f.calls = countCalls(visits)
	if len(e.kept) < most {
		e.keep(f, visits)
	}
	return f
}

// forget makes room for another form, in the place of the rarest that is not told.
func (e *endpoint) forget() {
	var rarest *form
	for _, f := range e.forms {
		if !f.kept && (rarest == nil || f.count < rarest.count || f.count == rarest.count && f.text < rarest.text) {
			rarest = f
		}
	}
	if rarest != nil {
		delete(e.forms, rarest.text)
	}
}

// keep makes a form one that is told.
func (e *endpoint) keep(f *form, visits []foresail.Visit) {
	if f.told == nil {
		told, err := foresail.NewForm(e.id, visits)
		if err != nil {
			panic("shapes: " + err.Error()) // the text is our own
		}
		f.told, f.slots = told, match(visits, told.Visits)
	}
	f.own = make([]sketch.Sketch, len(f.told.Visits))
	f.kept = true
	e.kept = append(e.kept, f)
	e.version++
}

// review lets a form that has become frequent take the place of one that has become rare: half as frequent again, so that two alike
// don't take turns. Nothing of the kept ones waits to be told.
func (e *endpoint) review(n *names, most int) {
	for {
		var best *form
		for _, f := range e.forms {
			if !f.kept && (best == nil || f.count > best.count || f.count == best.count && f.text < best.text) {
				best = f
			}
		}
		if best == nil {
			return
		}
		if len(e.kept) >= most {
			worst := 0
			for i, f := range e.kept {
				if f.count < e.kept[worst].count {
					worst = i
				}
			}
			w := e.kept[worst]
			if best.count <= 1.5*w.count+1 {
				return
			}
			w.kept, w.own = false, nil
			e.kept = slices.Delete(e.kept, worst, worst+1)
		}
		e.keep(best, decode(n, []byte(best.text)))
	}
}

// nearest is the kept form whose calls differ least from a request's.
func (e *endpoint) nearest(of []calls) *form {
	var best *form
	least := 0.0
	for _, f := range e.kept {
		d := distance(f.calls, of)
		if best == nil || d < least || d == least && (f.count > best.count || f.count == best.count && f.text < best.text) {
			best, least = f, d
		}
	}
	return best
}

// distance is by how many calls two requests differ. Both lists are in the order of services.
func distance(a, b []calls) (d float64) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].service < b[0].service:
			d, a = d+a[0].n, a[1:]
		case len(a) == 0 || b[0].service < a[0].service:
			d, b = d+b[0].n, b[1:]
		default:
			d += max(a[0].n-b[0].n, b[0].n-a[0].n)
			a, b = a[1:], b[1:]
		}
	}
	return d
}

// countCalls is how often each service is visited, in the order of services.
func countCalls(visits []foresail.Visit) (out []calls) {
	times := make([]float64, len(visits))
	for i := range visits {
		v := &visits[i]
		times[i] = float64(v.Times)
		if v.Parent >= 0 {
			times[i] *= times[v.Parent]
		}
		k, found := slices.BinarySearchFunc(out, int32(v.Service), func(c calls, s int32) int { return cmp.Compare(c.service, s) })
		if !found {
			out = slices.Insert(out, k, calls{service: int32(v.Service)})
		}
		out[k].n += times[i]
	}
	return out
}

// decode reads a form's text: its visits in canonical order.
func decode(n *names, text []byte) []foresail.Visit {
	d := decoder{names: n, text: text}
	d.visit(foresail.Visit{Parent: -1, Times: 1})
	return d.out
}

type decoder struct {
	*names
	text []byte
	out  []foresail.Visit
}

func (d *decoder) number() int {
	v, n := binary.Uvarint(d.text)
	d.text = d.text[n:]
	return int(v)
}

func (d *decoder) visit(v foresail.Visit) {
	op := &d.ops[binary.BigEndian.Uint32(d.text)]
	d.text = d.text[4:]
	v.Service, v.Operation = foresail.ServiceID(op.id), op.name
	at := len(d.out)
	d.out = append(d.out, v)
	step := 0
	for range d.number() {
		flags := d.text[0]
		d.text = d.text[1:]
		if flags&nextStep != 0 {
			step++
		}
		child := foresail.Visit{Parent: at, Step: step, Async: flags&unwaited != 0, Times: d.number()}
		copies, text := d.number(), d.text
		for range copies {
			d.text = text
			d.visit(child)
		}
	}
}

// match finds, for each visit of one list, the one of another list of the same form that is in its place.
func match(from, to []foresail.Visit) []int32 {
	m := matcher{ids: map[string]int32{}}
	a, b := m.number(from), m.number(to)
	out := make([]int32, len(from))
	m.pair(a, b, 0, 0, out)
	return out
}

type matcher struct{ ids map[string]int32 }

// numbered is a list of visits with, for each, a number that equals that of all alike, and its children in an order that depends on
// their steps and numbers alone.
type numbered struct {
	id       []int32
	children [][]int
}

func (m *matcher) number(visits []foresail.Visit) numbered {
	n := numbered{make([]int32, len(visits)), make([][]int, len(visits))}
	for i := 1; i < len(visits); i++ {
		p := visits[i].Parent
		n.children[p] = append(n.children[p], i)
	}
	for i := len(visits) - 1; i >= 0; i-- {
		v := &visits[i]
		slices.SortStableFunc(n.children[i], func(a, b int) int {
			return cmp.Or(cmp.Compare(visits[a].Step, visits[b].Step), cmp.Compare(n.id[a], n.id[b]))
		})
		key := binary.AppendVarint(nil, int64(v.Service))
		key = append(append(key, v.Operation...), 0)
		key = binary.AppendVarint(key, int64(v.Times))
		if v.Async {
			key = append(key, unwaited)
		}
		for _, c := range n.children[i] {
			key = binary.AppendVarint(binary.AppendVarint(key, int64(visits[c].Step)), int64(n.id[c]))
		}
		id, ok := m.ids[string(key)]
		if !ok {
			id = int32(len(m.ids))
			m.ids[string(key)] = id
		}
		n.id[i] = id
	}
	return n
}

func (m *matcher) pair(a, b numbered, i, j int, out []int32) {
	out[i] = int32(j)
	for k, c := range a.children[i] {
		m.pair(a, b, c, b.children[j][k], out)
	}
}
