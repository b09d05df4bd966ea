package follow

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
)

// job is a service that is to be learnt anew.
type job struct {
	service string
	what    What  // Replaced or Aggregated
	since   int64 // the number of the first row of what it is now
	seen    int   // snapshots since
	left    []string
	began   bool
	trained []string
	better  []string // of those, the labels of which what is new is better
}

// put adds a job; one of the same kind and service begins anew.
func (f *Follower) put(j *job) {
	f.drop(j.service, j.what)
	f.work = append(f.work, j)
}

func (f *Follower) drop(service string, what What) {
	f.work = slices.DeleteFunc(f.work, func(j *job) bool { return j.service == service && j.what == what })
}

// patience is how many times Config.Again a job waits for its rows.
const patience = 20

// learn does what is waiting and has rows enough, within what one Step may.
func (f *Follower) learn(s *foresail.Snapshot) (events []Event, err error) {
	budget := f.cfg.Trainings
	for _, j := range slices.Clone(f.work) {
		j.seen++
		if budget == 0 || j.seen < f.cfg.Again {
			continue
		}
		if !j.began {
			j.left, j.began = f.parts(j.service), true
		}
		for budget > 0 && len(j.left) > 0 {
			done, err := f.one(j, j.left[0], s)
			if err != nil || !done {
				if err == nil && j.seen < patience*f.cfg.Again {
					break // rows are missing: later
				}
				f.drop(j.service, j.what)
				text := fmt.Sprintf("%s was not observed long enough to be learnt anew", j.left[0])
				if err != nil {
					text = err.Error()
				}
				events = append(events, Event{At: s.End, Service: j.service, What: Unseen, Trained: j.trained, Text: text})
				j.left = nil
				break
			}
			j.left = j.left[1:]
			budget--
			if len(j.left) == 0 {
				f.drop(j.service, j.what)
				events = append(events, j.done(s))
				if j.what == Replaced && len(j.better) > 0 && f.graph.Instances(j.service) > 1 { // what aggregated the old ones is the mean again
					f.put(&job{service: j.service, what: Aggregated, since: j.since, seen: j.seen})
				}
			}
		}
	}
	return events, err
}

func (j *job) done(s *foresail.Snapshot) Event {
	e := Event{At: s.End, Service: j.service, What: j.what, Trained: j.trained}
	switch {
	case j.what == Aggregated:
		e.Text = fmt.Sprintf("what aggregates the instances of %s was learnt; it is better than the mean for %d of %d metrics", j.service, len(j.better), len(j.trained))
	case len(j.better) == 0:
		e.What = Kept
		e.Text = fmt.Sprintf("%s is as it was: what was learnt anew is no better", j.service)
	default:
		e.Text = fmt.Sprintf("%s was learnt anew: %s", j.service, strings.Join(j.better, ", "))
	}
	return e
}

// parts are the labels of a service's metrics in the graph.
func (f *Follower) parts(service string) (out []string) {
	for _, l := range f.graph.Labels() {
		if of, _, _ := strings.Cut(l, ":"); of == service {
			out = append(out, l)
		}
	}
	return out
}

// one learns one metric; false: rows are missing.
func (f *Follower) one(j *job, label string, s *foresail.Snapshot) (bool, error) {
	if j.what == Aggregated {
		return f.aggregate(j, label)
	}
	old := f.graph.Assignment(label)
	service, metric, _ := strings.Cut(label, ":")
	own, external := f.inputs(old, service)
	a, err := latency.NewAssignment(service, metric, own, external)
	if err != nil {
		return false, err
	}
	t, seqs, err := f.table(slices.Concat(own, external, []string{label}), j.since)
	if err != nil || len(seqs) < f.cfg.Again {
		return false, nil //nolint:nilerr // no value came of a new knob yet
	}
	f.trainings[label]++
	j.trained = append(j.trained, label)
	report, err := a.Add(t, nil, fmt.Sprintf("since %s", time.Unix(j.since, 0).UTC().Format(time.RFC3339)), f.cfg.Learn, true)
	if err != nil {
		return false, err
	}
	if slices.Equal(old.Inputs(), a.Inputs()) {
		if was, err := off(old, t, label); err == nil && was <= report.Error {
			return true, nil // it never saw these rows, and errs no more than what was learnt from them
		}
	}
	a.Describe(f.cfg.Source, "since "+time.Unix(j.since, 0).UTC().Format(time.RFC3339), time.Unix(seqs[0], 0), s.End)
	g := f.graph.Clone()
	if err := g.Replace(a); err != nil {
		return false, err
	}
	j.better = append(j.better, label)
	f.graph = g
	return true, nil
}

// inputs are an assignment's, with the service's knobs as they are now.
func (f *Follower) inputs(a *latency.Assignment, service string) (own, external []string) {
	for i := range f.services {
		s := &f.services[i]
		if s.Name == service {
			s.Knobs = f.knobsOf(service)
		}
	}
	predicted := func(in string) bool { return f.graph.Assignment(in) != nil }
	own = f.knobsOf(service)
	for _, in := range a.Inputs() {
		of, name, _ := strings.Cut(in, ":")
		switch {
		case predicted(in):
			external = append(external, in)
		case of != service || name == compose.Rate:
			own = append(own, in)
		}
	}
	return own, external
}

// off is how far an assignment's predictions are from a table's column, in the mean.
func off(a *latency.Assignment, t *latency.Table, label string) (float64, error) {
	got, err := a.Predict(t)
	if err != nil {
		return 0, err
	}
	y, _ := t.Column(label)
	sum := 0.0
	for i, p := range got {
		sum += math.Abs(p.Value-y[i]) / float64(len(y))
	}
	return sum, nil
}

// aggregate learns a service-vertex from what was observed of the instances.
func (f *Follower) aggregate(j *job, label string) (bool, error) {
	service, metric, _ := strings.Cut(label, ":")
	var each []string
	for i := range f.graph.Instances(service) {
		each = append(each, fmt.Sprintf("%s#%d:%s", service, i+1, metric))
	}
	t, seqs, err := f.table(append(slices.Clone(each), label), j.since)
	if err != nil || len(seqs) < f.cfg.Again {
		return false, nil //nolint:nilerr // no value came of an instance yet
	}
	g := f.graph.Clone()
	f.trainings[label+" of instances"]++
	j.trained = append(j.trained, label)
	report, err := g.Fit(service, metric, t, f.cfg.Learn)
	if err != nil {
		return false, err
	}
	y, _ := t.Column(label)
	mean := 0.0
	for i := range y {
		sum := 0.0
		for _, l := range each {
			c, _ := t.Column(l)
			sum += c[i] / float64(len(each))
		}
		mean += math.Abs(sum-y[i]) / float64(len(y))
	}
	if report.Error < mean {
		f.graph = g
		j.better = append(j.better, label)
	}
	return true, nil
}
