package stream

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"foresail.dev/model/latency"
)

// Stopped is a stream of which no value came any more.
type Stopped struct {
	Label string `json:"stream"`
	After int64  `json:"after"` // the number of its newest value
	Rows  int    `json:"rows"`  // that were opened since
}

// Stopped are the streams that have stopped, those that did first before others.
func (j *Joiner) Stopped() (out []Stopped) {
	for i, c := range j.columns {
		if since := j.opened - c.row; c.counts.Taken > 0 && since >= j.cfg.Stop {
			out = append(out, Stopped{j.labels[i], c.newest, since})
		}
	}
	slices.SortStableFunc(out, func(a, b Stopped) int { return cmp.Compare(b.Rows, a.Rows) })
	return out
}

// Labels are the labels of all streams, in the order in which they came.
func (j *Joiner) Labels() []string { return slices.Clone(j.labels) }

// Kind is what a stream's values are; false where there is no such stream.
func (j *Joiner) Kind(label string) (Kind, bool) {
	i, ok := j.at[label]
	if !ok {
		return 0, false
	}
	return j.columns[i].kind, true
}

// Columns are the labels of the columns that a stream has in a table: its own, or one for each choice, cart:engine=redis.
func (j *Joiner) Columns(label string) []string {
	i, ok := j.at[label]
	if !ok || j.columns[i].kind != Choices {
		return []string{label}
	}
	var out []string
	for _, c := range slices.Sorted(slices.Values(j.columns[i].choices)) {
		out = append(out, label+"="+c)
	}
	return out
}

// Table is the closed rows that have a value of each stream with the given labels, and their numbers; nil labels: of each stream that has
// not stopped. How many rows lack one is the second number. The error names streams that there are none of.
func (j *Joiner) Table(labels []string) (t *latency.Table, seqs []int64, lacking int, err error) {
	if labels == nil {
		stopped := j.Stopped()
		for _, l := range j.labels {
			if !slices.ContainsFunc(stopped, func(s Stopped) bool { return s.Label == l }) && j.columns[j.at[l]].counts.Taken > 0 {
				labels = append(labels, l)
			}
		}
	}
	var at []int
	var none []string
	for _, l := range labels {
		i, ok := j.at[l]
		if !ok {
			none = append(none, l)
		}
		at = append(at, i)
	}
	if none != nil {
		return nil, nil, 0, fmt.Errorf("no values came of %s: of other streams they did, %s", strings.Join(none, ", "), some(j.labels))
	}
	var whole []*row
	for k := range j.closed {
		r := &j.closed[k]
		if slices.ContainsFunc(at, func(i int) bool { return i >= len(r.values) || math.IsNaN(r.values[i]) }) {
			lacking++
			continue
		}
		whole, seqs = append(whole, r), append(seqs, r.seq)
	}
	var names []string
	var cols [][]float64
	for k, l := range labels {
		c := &j.columns[at[k]]
		for _, name := range j.Columns(l) {
			col := make([]float64, len(whole))
			for n, r := range whole {
				if col[n] = r.values[at[k]]; c.kind == Choices {
					if name == l+"="+c.choices[int(col[n])] {
						col[n] = 1
					} else {
						col[n] = 0
					}
				}
			}
			names, cols = append(names, name), append(cols, col)
		}
	}
	t, err = latency.NewTable(names, cols)
	return t, seqs, lacking, err
}

// some is a few names of many.
func some(names []string) string {
	const most = 8
	if n := len(names); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}
