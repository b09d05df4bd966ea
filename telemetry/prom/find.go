package prom

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"foresail.dev"
)

// form is how a kind of series is stored.
type form uint8

const (
	plainForm form = iota // numbers
	native                // native histograms
	classic               // a number for each bucket
)

// found is one name of a series that is there, for the services that are read from it.
type found struct {
	recipe string
	series *Series
	kind   Kind
	form   form
	spell  spelled
	label  string // holds the service, or the caller
	to     string // holds the callee
	serves map[foresail.ServiceID]string
	other  []string // values of the label that mean no service, some of them
	seen   int      // series
}

// plan is what to ask.
type plan struct {
	at      time.Time
	found   []*found
	queries []*query
	notes   []string // what went wrong, or is worth knowing
	partial bool     // some of what is there could not be looked at
}

// parallel is how many queries are asked at once.
const parallel = 4

// find asks which series are there at an instant, and of which services: one query for their names, and one for each name.
func (r *Reader) find(ctx context.Context, l look) (*plan, error) {
	p := &plan{at: l.at}
	there, err := r.metrics(ctx, l)
	if err != nil {
		return nil, err
	}
	var candidates []*found
	for i := range r.recipes {
		for j := range r.recipes[i].Series {
			s := &r.recipes[i].Series[j]
			for _, x := range s.spellings() {
				f := &found{recipe: r.recipes[i].Name, series: s, kind: s.Gives, spell: x}
				if !s.Gives.histogram() {
					if there[x.metric] {
						candidates = append(candidates, f)
					}
					continue
				}
				if there[x.metric] {
					n := *f
					n.form = native
					candidates = append(candidates, &n)
				}
				if there[x.metric+"_bucket"] {
					f.form = classic
					candidates = append(candidates, f)
				}
			}
		}
	}
	answers := make([]model.Vector, len(candidates))
	errs := make([]error, len(candidates))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, f := range candidates {
		g.Go(func() error {
			answers[i], _, errs[i] = r.client.query(gctx, f.census(r.selector), l)
			return nil
		})
	}
	_ = g.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.names.open = r.open
	for i, f := range candidates {
		if errs[i] != nil {
			p.notes = append(p.notes, fmt.Sprintf("%s: %v", f.name(), errs[i]))
			p.partial = true
			continue
		}
		f.take(r.names, answers[i])
		if r.open && len(r.app.Services) > 0 && f.kind > CallsTotal { // what is observed of services does not make new ones
			r.names.open = false
			f.take(r.names, answers[i])
		}
	}
	r.names.open = false
	p.found = claim(candidates)
	for _, f := range p.found {
		p.queries = append(p.queries, f.queries(r)...)
	}
	return p, nil
}

// metrics asks which of the names that recipes look for are there.
func (r *Reader) metrics(ctx context.Context, l look) (map[string]bool, error) {
	var all []string
	for i := range r.recipes {
		for j := range r.recipes[i].Series {
			s := &r.recipes[i].Series[j]
			for _, x := range s.spellings() {
				all = append(all, regexp.QuoteMeta(x.metric))
				if s.Gives.histogram() {
					all = append(all, regexp.QuoteMeta(x.metric+"_bucket"))
				}
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	matchers := []string{"__name__=~" + quote(strings.Join(all, "|"))}
	if r.selector != "" {
		matchers = append(matchers, r.selector)
	}
	v, _, err := r.client.query(ctx, "count by (__name__) ({"+strings.Join(matchers, ",")+"})", l)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, s := range v {
		there[string(s.Metric[model.MetricNameLabel])] = true
	}
	return there, nil
}

// name is the series' name as it is stored.
func (f *found) name() string {
	if f.form == classic {
		return f.spell.metric + "_bucket"
	}
	return f.spell.metric
}

// census asks which services, by all labels that may hold them, a series is there of.
func (f *found) census(selector string) string {
	by := f.ends()
	matchers := []string{f.series.Where, selector}
	if f.form == classic {
		matchers = append(matchers, `le=~"[+]Inf|"`) // one of each histogram; VictoriaMetrics' own have none
	}
	sel := selectorOf(f.name(), matchers)
	if f.form == native { // a summary has the name as well, and no histogram
		sel = "histogram_count(" + sel + ")"
	}
	return "count by (" + labelList(by) + ") (" + sel + ")"
}

// ends are the labels that may hold the service, or both ends of a call.
func (f *found) ends() []string {
	if !f.kind.edge() {
		return f.series.labels(f.series.Service, f.spell.dotted)
	}
	return slices.Concat(f.series.labels(f.series.From, f.spell.dotted), f.series.labels(f.series.To, f.spell.dotted))
}

// take finds out which label holds the service, and whose values are there.
func (f *found) take(n *names, v model.Vector) {
	own := f.series.labels(f.series.Service, f.spell.dotted)
	if f.kind.edge() {
		own = f.series.labels(f.series.From, f.spell.dotted)
	}
	f.label, f.serves, f.other = pick(n, own, v)
	f.seen = len(v)
	if f.kind.edge() {
		f.to, _, _ = pick(n, f.series.labels(f.series.To, f.spell.dotted), v)
		if f.to == "" {
			f.serves = nil
		}
	}
}

// maxOther is how many unknown names are told.
const maxOther = 20

// pick is the label, of those that may, whose values mean the most services.
func pick(n *names, labels []string, v model.Vector) (best string, serves map[foresail.ServiceID]string, other []string) {
	for _, l := range labels {
		ids := map[foresail.ServiceID]string{}
		var unknown []string
		for _, s := range v {
			value := string(s.Metric[model.LabelName(l)])
			if id, ok := n.find(l, value); ok {
				if old, ok := ids[id]; !ok || value < old {
					ids[id] = value
				}
			} else if value != "" && len(unknown) < maxOther && !slices.Contains(unknown, value) {
				unknown = append(unknown, value)
			}
		}
		if len(ids) > len(serves) || best == "" && other == nil {
			serves, other = ids, unknown
			if len(ids) > 0 {
				best = l
			}
		}
	}
	slices.Sort(other)
	return best, serves, other
}

// claim leaves each service to the first that gives what it gives: names of one series are alternatives, recipes too,
// while series of one recipe add up.
func claim(all []*found) (out []*found) {
	type key struct {
		slot    Kind
		service foresail.ServiceID
	}
	owner := map[key]*found{}
	free := func(f *found, id foresail.ServiceID) bool {
		for k := Kind(1); k < kindEnd; k++ {
			if f.kind.slots()&(1<<k) == 0 {
				continue
			}
			if o := owner[key{k, id}]; o != nil && (o.recipe != f.recipe || o.series == f.series || o.kind != f.kind) {
				return false
			}
		}
		return true
	}
	for _, f := range all {
		for id := range f.serves {
			if !free(f, id) {
				delete(f.serves, id)
			}
		}
		for id := range f.serves {
			for k := Kind(1); k < kindEnd; k++ {
				if f.kind.slots()&(1<<k) != 0 && owner[key{k, id}] == nil {
					owner[key{k, id}] = f
				}
			}
		}
		if len(f.serves) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// labelList writes labels as a by clause holds them.
func labelList(labels []string) string {
	var out []string
	for _, l := range labels {
		if q := labelName(l); !slices.Contains(out, q) {
			out = append(out, q)
		}
	}
	return strings.Join(out, ", ")
}

// labelName is a label as PromQL writes it: in quotes where it has dots.
func labelName(l string) string {
	if model.LegacyValidation.IsValidLabelName(l) {
		return l
	}
	return quote(l)
}

// selectorOf selects a metric's series with matchers, the empty ones left out.
func selectorOf(metric string, matchers []string) string {
	m := strings.Join(slices.DeleteFunc(slices.Clone(matchers), func(s string) bool { return s == "" }), ",")
	switch {
	case !model.LegacyValidation.IsValidMetricName(metric):
		return "{" + strings.Join(slices.DeleteFunc([]string{quote(metric), m}, func(s string) bool { return s == "" }), ",") + "}"
	case m == "":
		return metric
	}
	return metric + "{" + m + "}"
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// among matches the values of services, unless there are too many to write down. Pods come and go, so that all are matched
// that a service's name may have begotten.
func among(n *names, label string, serves map[foresail.ServiceID]string, of func(foresail.ServiceID) bool) string {
	var values []string
	for id, v := range serves {
		switch {
		case !of(id):
		case pods(label):
			for _, name := range n.called(id) {
				values = append(values, regexp.QuoteMeta(name)+"-.+")
			}
		default:
			values = append(values, regexp.QuoteMeta(v))
		}
	}
	if len(values) > maxNamed {
		return labelName(label) + `!=""`
	}
	slices.Sort(values)
	return labelName(label) + "=~" + quote(strings.Join(values, "|"))
}

// maxNamed is how many services a query names. With more it reads all, and what belongs to none is left out.
const maxNamed = 500
