package foresail

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"foresail.dev/sketch"
)

// Form is the canonical form of the call graphs that requests of an endpoint take: which operations were visited, what
// waited for what, and what went on side by side. Two requests have the same form when their Keys are equal. A Form is
// made by NewForm and not changed afterwards, so that snapshots may share it.
type Form struct {
	Endpoint EndpointID
	Visits   []Visit // parents before their children; the first is the entry's
	key      string
}

// Visit is one operation of a service within a form, or several alike that follow each other.
type Visit struct {
	Service   ServiceID
	Operation string
	Parent    int // index into Form.Visits; -1 for the first
	// Step orders the children of one parent, from 0: those of one step go on side by side, and the next step begins when
	// all of them but the asynchronous ones have ended.
	Step  int
	Times int  // how often it is made, one after the other, each with all that it calls; at least 1
	Async bool // nobody waits for it
}

// NewForm makes a form of visits that are listed in any order of siblings, parents first. It keeps none of visits. It fails
// where a visit's parent does not come before it, where there is not exactly one without a parent, or where a number is out
// of its range.
func NewForm(e EndpointID, visits []Visit) (*Form, error) {
	f, _, err := ArrangeForm(e, visits)
	return f, err
}

// ArrangeForm is NewForm, and says which of visits became which of the form's: visits[from[k]] is f.Visits[k], but for the
// number of its parent and its step.
func ArrangeForm(e EndpointID, visits []Visit) (f *Form, from []int, err error) {
	if len(visits) == 0 {
		return nil, nil, errors.New("a form needs a visit: the entry's")
	}
	children := make([][]int, len(visits))
	for i, v := range visits {
		switch {
		case v.Service < 0 || v.Step < 0 || v.Times < 1:
			return nil, nil, fmt.Errorf("visit %d: service %d, step %d, times %d: services and steps are numbered from 0, and times is at least 1", i, v.Service, v.Step, v.Times)
		case i == 0 && v.Parent != -1:
			return nil, nil, fmt.Errorf("visit 0 has parent %d: the first visit is the entry's and has parent -1", v.Parent)
		case i > 0 && (v.Parent < 0 || v.Parent >= i):
			return nil, nil, fmt.Errorf("visit %d has parent %d: a parent comes before its children", i, v.Parent)
		}
		if i > 0 {
			children[v.Parent] = append(children[v.Parent], i)
		}
	}
	keys := make([]string, len(visits))
	for i := len(visits) - 1; i >= 0; i-- { // children before parents
		slices.SortStableFunc(children[i], func(a, b int) int {
			return cmp.Or(cmp.Compare(visits[a].Step, visits[b].Step), cmp.Compare(keys[a], keys[b]))
		})
		keys[i] = formKey(visits, keys, children[i], i)
	}
	f = &Form{Endpoint: e, Visits: make([]Visit, 0, len(visits)), key: strconv.Itoa(int(e)) + ":" + keys[0]}
	return f, f.lay(make([]int, 0, len(visits)), visits, children, 0, -1, 0), nil
}

// formKey is the text of a visit and of what it calls.
func formKey(visits []Visit, keys []string, children []int, i int) string {
	v := &visits[i]
	var b strings.Builder
	b.WriteString(strconv.Itoa(int(v.Service)))
	b.WriteByte('.')
	b.WriteString(strconv.Quote(v.Operation))
	if v.Times > 1 {
		b.WriteByte('x')
		b.WriteString(strconv.Itoa(v.Times))
	}
	if v.Async {
		b.WriteByte('~')
	}
	if len(children) == 0 {
		return b.String()
	}
	b.WriteByte('(')
	for k, c := range children {
		switch {
		case k == 0:
		case visits[c].Step == visits[children[k-1]].Step:
			b.WriteByte('|')
		default:
			b.WriteByte(';')
		}
		b.WriteString(keys[c])
	}
	b.WriteByte(')')
	return b.String()
}

// lay appends a visit and what it calls, with steps numbered without gaps, and to from their numbers among visits.
func (f *Form) lay(from []int, visits []Visit, children [][]int, i, parent, step int) []int {
	v := visits[i]
	v.Parent, v.Step = parent, step
	at := len(f.Visits)
	f.Visits, from = append(f.Visits, v), append(from, i)
	next := 0
	for k, c := range children[i] {
		if k > 0 && visits[c].Step != visits[children[i][k-1]].Step {
			next++
		}
		from = f.lay(from, visits, children, c, at, next)
	}
	return from
}

// Key tells forms apart: the endpoint, and the visits in parentheses below their parent, those side by side separated by |,
// those that follow each other by ;.
func (f *Form) Key() string { return f.key }

// Calls is how often one request of this form visits a service, visits that nobody waits for included.
func (f *Form) Calls(s ServiceID) (n float64) {
	times := make([]float64, len(f.Visits))
	for i, v := range f.Visits {
		times[i] = float64(v.Times)
		if v.Parent >= 0 {
			times[i] *= times[v.Parent]
		}
		if v.Service == s {
			n += times[i]
		}
	}
	return n
}

// ShapeStats is what was observed of the requests of one form, where SignalShapes is in Snapshot.Has. A request counts
// where its trace is found complete, a little after it ended; traces may be sampled, and counts are scaled up to all requests.
type ShapeStats struct {
	Form     *Form
	Requests float64
	// Pooled is how many of Requests had another form, too rare to be told by itself, of which this one is the nearest.
	Pooled  float64
	Latency *sketch.Sketch // seconds from end to end, of requests that did not fail; nil where there is none
	// Own is, by Form.Visits, the seconds that one visit takes by itself: from being called to its answer, less the time in
	// which it waits for its own callees. It includes the way there and back and the wait for a worker. Of pooled requests it
	// tells nothing. nil where there is none.
	Own []*sketch.Sketch
}

// mergeShapes adds src to dst, which is ordered by key; the result shares nothing with src but forms.
func mergeShapes(dst, src []ShapeStats) []ShapeStats {
	for i := range src {
		s := &src[i]
		at, found := slices.BinarySearchFunc(dst, s.Form.key, func(d ShapeStats, key string) int { return cmp.Compare(d.Form.key, key) })
		if !found {
			dst = slices.Insert(dst, at, ShapeStats{Form: s.Form, Own: make([]*sketch.Sketch, len(s.Form.Visits))})
		}
		d := &dst[at]
		d.Requests += s.Requests
		d.Pooled += s.Pooled
		d.Latency = mergeSketch(d.Latency, s.Latency)
		for k := range min(len(d.Own), len(s.Own)) {
			d.Own[k] = mergeSketch(d.Own[k], s.Own[k])
		}
	}
	return dst
}
