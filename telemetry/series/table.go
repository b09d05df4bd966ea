package series

import (
	"cmp"
	"slices"
)

// Kind is how a series' values are read.
type Kind uint8

// The kinds.
const (
	Gauge           Kind = iota // a value at a moment, or over an interval
	Counter                     // a total that only grows, but for restarts
	NativeHistogram             // a cumulative native float histogram of schema sketch.Schema
)

var kindNames = [...]string{"gauge", "counter", "histogram"}

// String is the type's name in Prometheus' metadata.
func (k Kind) String() string { return kindNames[k] }

// Level is what a series is of, and which labels it has.
type Level uint8

// The levels. Each has the label "application" besides its own.
const (
	Application Level = iota
	Service           // service
	Replica           // service, replica, node (left out where it is not known)
	Node              // node
	Endpoint          // endpoint
	Edge              // from, to: services
	Shape             // endpoint, shape: Form.ID
	Form              // the same, and form: Form.Named as JSON
	Visit             // endpoint, shape, visit: its number in Form.Visits
)

var levels = [...]struct {
	name, of string
	labels   []string
}{
	{name: "application"},
	{"service", "of a service", []string{"service"}},
	{"replica", "of a replica", []string{"node", "replica", "service"}},
	{"node", "of a node", []string{"node"}},
	{"endpoint", "of an endpoint", []string{"endpoint"}},
	{"edge", "from one service to another", []string{"from", "to"}},
	{"shape", "of a call graph", []string{"endpoint", "shape"}},
	{"form", "of a call graph", []string{"endpoint", "form", "shape"}},
	{"visit", "of a visit of a call graph", []string{"endpoint", "shape", "visit"}},
}

// String is the level's name, which its series' names carry.
func (l Level) String() string { return levels[l].name }

// Def defines a series.
type Def struct {
	Name string
	Help string
	Unit string // of the value: "seconds", "bytes", "cores", ...; empty: a plain number
	Kind Kind
	Level
	Setting     bool // it has a label "setting" as well
	Bookkeeping bool // it is there for reading snapshots back; nobody draws it
}

// Labels are the names of the labels that a series of this definition has, sorted; some may be left out as empty.
func (d *Def) Labels() []string {
	out := append([]string{"application"}, levels[d.Level].labels...)
	if d.Setting {
		out = append(out, "setting")
	}
	slices.Sort(out)
	return out
}

// Table lists every series that there is, ordered by level and name. The result belongs to the caller.
func Table() []Def {
	out := make([]Def, 0, len(places))
	for _, p := range places {
		out = append(out, *p.def)
	}
	slices.SortFunc(out, func(a, b Def) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Lookup finds a definition by its name.
func Lookup(name string) (Def, bool) {
	p, ok := places[name]
	if !ok {
		return Def{}, false
	}
	return *p.def, true
}

// place is where a series' values belong: a definition, and its number among the fields of its level.
type place struct {
	def   *Def
	field int
}

// places finds a place by the series' name.
var places = func() map[string]place {
	m := map[string]place{}
	index(m, snapshotFields)
	index(m, serviceFields)
	index(m, replicaFields)
	index(m, nodeFields)
	index(m, endpointFields)
	index(m, edgeFields)
	index(m, shapeFields)
	index(m, formFields)
	index(m, visitFields)
	for i := range settingDefs {
		m[settingDefs[i].Name] = place{&settingDefs[i], i}
	}
	return m
}()

func index[T any](m map[string]place, fields []field[T]) {
	for i := range fields {
		m[fields[i].Name] = place{&fields[i].Def, i}
	}
}

// The series of named settings, of the allocation in effect and of the one asked for.
var settingDefs = []Def{
	{Name: "foresail_service_setting", Help: "A named setting of the allocation in effect, of a service.", Level: Service, Setting: true},
	{Name: "foresail_service_pending_setting", Help: "A named setting of the allocation asked for and not yet in effect, of a service.", Level: Service, Setting: true},
}
