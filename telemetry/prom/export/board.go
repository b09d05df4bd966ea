package export

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// board puts up values of the families of decided and health.
type board struct {
	emit        func(prometheus.Metric)
	start       time.Time
	limit       int
	application string // label of all that follows; empty: none
}

// own are the families of decided and health by name.
var own = func() map[string]ownFamily {
	out := map[string]ownFamily{}
	add := func(f Family, labels []string) {
		out[f.Name] = ownFamily{f, labels, prometheus.NewDesc(f.Name, f.Help, labels, nil)}
	}
	for _, f := range decided {
		add(f, append([]string{"application"}, f.Labels...))
	}
	for _, f := range health {
		add(f, f.Labels)
	}
	return out
}()

type ownFamily struct {
	Family
	labels []string // the application among them
	desc   *prometheus.Desc
}

// put puts up one value. A name that is in neither table, or another number of labels, is a programmer's mistake and panics.
func (b *board) put(name string, v float64, labels ...string) {
	f, ok := own[name]
	if !ok {
		panic("export: no family " + name)
	}
	if b.application != "" {
		labels = append([]string{b.application}, labels...)
	}
	if len(labels) != len(f.labels) {
		panic(fmt.Sprintf("export: %s has labels %v, not %v", name, f.labels, labels))
	}
	b.emit(&metric{desc: f.desc, labels: pairs(f.labels, labels), kind: f.Kind, v: v, start: b.start})
}

// each puts up a value of each name. Those beyond the limit are summed up under Other.
func (b *board) each(family string, values map[string]float64) {
	rest, folded := 0.0, false
	for i, name := range slices.Sorted(maps.Keys(values)) {
		if i < b.limit && name != Other {
			b.put(family, values[name], name)
			continue
		}
		rest += values[name]
		folded = true
	}
	if folded {
		b.put(family, rest, Other)
	}
}

// bounded counts by names of which there may be any number: only the first so many are told apart.
type bounded map[string]float64

const maxNames = 100

func (c bounded) add(name string) {
	if _, ok := c[name]; !ok && len(c) >= maxNames {
		name = Other
	}
	c[name]++
}
