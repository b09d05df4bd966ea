package prom

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"foresail.dev"
)

// query is one question that is asked at the start and the end of each interval.
type query struct {
	*found
	text      string
	sums      string // of a classic histogram: its sums, or empty
	replica   []string
	operation []string // asked for, in order; nil: not
	failed    []failure
}

// failure is a label that tells a failed request.
type failure struct {
	label string
	match *regexp.Regexp
}

// queries are those for one name: for entry services, of whose requests more is asked, one of their own.
func (f *found) queries(r *Reader) (out []*query) {
	entry := map[foresail.ServiceID]bool{}
	if f.kind == Requests || f.kind == RequestsTotal {
		for _, e := range r.app.Endpoints {
			if !e.Gone {
				entry[e.Entry] = true
			}
		}
	}
	for _, entries := range []bool{false, true} {
		of := func(id foresail.ServiceID) bool { return entry[id] == entries }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(f.serves)), of) {
			continue
		}
		q := &query{found: f, replica: f.series.labels(f.series.Replica, f.spell.dotted)}
		by := append([]string{f.label}, q.replica...)
		if f.kind.edge() {
			by = append(by, f.to)
		}
		for _, l := range slices.Sorted(maps.Keys(f.series.Failed)) {
			if !f.countsRequests() {
				break
			}
			name := f.series.labels([]string{l}, f.spell.dotted)[0]
			q.failed = append(q.failed, failure{name, regexp.MustCompile(anchored(f.series.Failed[l]))})
			by = append(by, name)
		}
		if entries {
			q.operation = f.series.labels(f.series.Operation, f.spell.dotted)
			by = append(by, q.operation...)
		}
		matchers := []string{among(r.names, f.label, f.serves, of), f.series.Where, r.selector}
		switch f.form {
		case classic:
			q.text = "sum by (" + labelList(append(slices.Clone(by), model.BucketLabel, vmrange)) + ") (" + selectorOf(f.spell.metric+"_bucket", matchers) + ")"
			q.sums = "sum by (" + labelList(by) + ") (" + selectorOf(f.spell.metric+"_sum", matchers) + ")"
		default:
			q.text = "sum by (" + labelList(by) + ") (" + selectorOf(f.spell.metric, matchers) + ")"
		}
		out = append(out, q)
	}
	return out
}

// vmrange is the label of VictoriaMetrics' own buckets.
const vmrange = "vmrange"

func (f *found) countsRequests() bool { return f.kind <= CallsTotal }

// who is what the labels of a series mean.
type who struct {
	service, to foresail.ServiceID
	replica     string // empty: not told
	process     string // what counts: a counter of another process begins anew
	failed      bool
	operation   []string
}

// read is what a series' labels mean; ok is false where they mean no service of this query.
func (q *query) read(n *names, m model.Metric) (w who, ok bool) {
	value := func(l string) string { return string(m[model.LabelName(l)]) }
	if w.service, ok = n.find(q.label, value(q.label)); !ok {
		return w, false
	}
	if _, ok = q.serves[w.service]; !ok {
		return w, false
	}
	if q.kind.edge() {
		if w.to, ok = n.find(q.to, value(q.to)); !ok {
			return w, false
		}
	}
	var process strings.Builder
	for _, l := range q.replica {
		if v := value(l); v != "" {
			if w.replica == "" {
				w.replica = v
			}
			process.WriteString(v)
			process.WriteByte(0)
		}
	}
	w.process = process.String()
	for _, f := range q.failed {
		if v := value(f.label); v != "" && f.match.MatchString(v) {
			w.failed = true
		}
	}
	for _, l := range q.operation {
		w.operation = append(w.operation, value(l))
	}
	return w, true
}

// means reports whether an operation, as labels tell it, is the one of that name: all labels that are there, joined as span
// names join them, or one of them alone.
func means(labels []string, name string) bool {
	there := make([]string, 0, len(labels))
	for _, l := range labels {
		if l == name && l != "" {
			return true
		}
		if l != "" {
			there = append(there, l)
		}
	}
	return len(there) > 1 && (strings.Join(there, " ") == name || strings.Join(there, "/") == name)
}

// silent reports whether labels tell no operation.
func silent(labels []string) bool {
	return !slices.ContainsFunc(labels, func(l string) bool { return l != "" })
}
