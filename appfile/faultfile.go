package appfile

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"foresail.dev/fault"
	"go.yaml.in/yaml/v3"
)

// ReadFaults reads a file that says what goes wrong in a run; docs/formats/faults.md describes it. What is wrong in it
// comes as Faults; a file that can't be read, as another error.
func ReadFaults(path string, w *fault.World) (*fault.Schedule, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("faults file: %w", err)
	}
	return ParseFaults(path, data, w)
}

// ParseFaults reads such a file's content; name is the file's name in messages. The error is nil or Faults.
func ParseFaults(name string, data []byte, w *fault.World) (*fault.Schedule, error) {
	c := newCollector(name)
	var f FaultSchedule
	at, ok := decodeInto(c, data, reflect.ValueOf(&f).Elem())
	if !ok {
		return nil, c.err()
	}
	if at.node.Kind == yaml.MappingNode && !hasKey(at.node, "faults") {
		at.At("faults").Faultf("is missing")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return f.For(w)
}

// FaultSchedule is what a faults file holds, for embedding in another file that Decode reads: there its name may be left
// out. What can be said without an application is checked as it is read; For checks the rest.
type FaultSchedule struct {
	schedule fault.Schedule
	at       Place
}

// Given reports whether the file had one.
func (f *FaultSchedule) Given() bool { return f.at.node != nil }

// For is the schedule for a run. The error is nil, or Faults that say where in the file something does not fit it.
func (f *FaultSchedule) For(w *fault.World) (*fault.Schedule, error) {
	if !f.Given() {
		return &fault.Schedule{}, nil
	}
	at := f.at
	at.c = newCollector(f.at.c.file)
	at.problems(f.schedule.CheckIn(w))
	if err := at.c.err(); err != nil {
		return nil, err
	}
	s := f.schedule
	return &s, nil
}

// problems adds what a check of the schedule found, each at its place.
func (p Place) problems(all fault.Problems) {
	for _, x := range all {
		list := "fixed"
		if x.Random {
			list = "random"
		}
		p.At(list, x.Index).field(x.Field).Faultf("%s", x.Message)
	}
}

// field is the place of a field named like "targets[2].service".
func (p Place) field(name string) Place {
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		if i, err := strconv.Atoi(part); err == nil {
			p = p.At(i)
		} else {
			p = p.At(part)
		}
	}
	return p
}

type faultFile struct {
	Name   string        `yaml:"faults"`
	Note   string        `yaml:"note"`
	Fixed  []fixedFault  `yaml:"fixed"`
	Random []randomFault `yaml:"random"`
}

func (f *FaultSchedule) read(at Place) {
	before := len(at.c.faults)
	var file faultFile
	decodeStruct(at, reflect.ValueOf(&file).Elem())
	if file.Name != "" {
		checkName(at.At("faults"), "a schedule's", file.Name)
	}
	f.at, f.schedule = at, fault.Schedule{Name: file.Name}
	for i := range file.Fixed {
		f.schedule.Fixed = append(f.schedule.Fixed, file.Fixed[i].fault())
	}
	for i := range file.Random {
		f.schedule.Random = append(f.schedule.Random, file.Random[i].random())
	}
	if len(at.c.faults) == before { // else much of it would be told twice
		at.problems(f.schedule.Check())
	}
}

// hit is what a fault is aimed at.
type hit struct {
	Service   string  `yaml:"service"`
	Operation string  `yaml:"operation"`
	Edge      hitEdge `yaml:"edge"`
	Node      string  `yaml:"node"`
	Replica   string  `yaml:"replica"`
	Share     Share   `yaml:"share"`
}

func (h hit) target() fault.Target {
	return fault.Target{Service: h.Service, Operation: h.Operation, From: h.Edge.from, To: h.Edge.to, Node: h.Node,
		Replica: h.Replica, Share: float64(h.Share)}
}

// aim is a hit in a list, or the name of a service.
type aim struct{ hit }

func (a *aim) read(at Place) {
	if at.node.Kind == yaml.ScalarNode {
		decode(at, reflect.ValueOf(&a.Service).Elem(), []rule{{"required", ""}})
		return
	}
	decodeStruct(at, reflect.ValueOf(&a.hit).Elem())
}

// hitEdge is "from -> to".
type hitEdge struct{ from, to string }

// UnmarshalText reads an edge.
func (e *hitEdge) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), "->")
	e.from, e.to = strings.TrimSpace(from), strings.TrimSpace(to)
	if !ok || e.from == "" || e.to == "" {
		return fmt.Errorf("%q is not two services; write it like frontend -> search", text)
	}
	return nil
}

type fixedFault struct {
	Kind fault.Kind    `yaml:"kind" rule:"required"`
	At   time.Duration `yaml:"at" rule:"required"`
	For  time.Duration `yaml:"for" rule:"above=0s"`
	hit
	Amount float64       `yaml:"amount"`
	Length time.Duration `yaml:"length"`
	Period time.Duration `yaml:"period"`
	Jitter Share         `yaml:"jitter"`
	Errors Share         `yaml:"errors"`
	Leak   Bytes         `yaml:"leak"`
	Note   string        `yaml:"note"`
}

func (f *fixedFault) fault() fault.Fault {
	return fault.Fault{Kind: f.Kind, At: f.At, For: f.For, Target: f.target(), Amount: f.Amount, Length: f.Length,
		Period: f.Period, Jitter: float64(f.Jitter), Errors: float64(f.Errors), Leak: float64(f.Leak)}
}

type randomFault struct {
	Kind    fault.Kind              `yaml:"kind" rule:"required"`
	Every   time.Duration           `yaml:"every" rule:"required"`
	From    time.Duration           `yaml:"from"`
	Until   time.Duration           `yaml:"until" rule:"above=0s"`
	For     interval[time.Duration] `yaml:"for" rule:"required"`
	Targets []aim                   `yaml:"targets"`
	Amount  interval[float64]       `yaml:"amount"`
	Length  interval[time.Duration] `yaml:"length"`
	Period  interval[time.Duration] `yaml:"period"`
	Jitter  interval[float64]       `yaml:"jitter"`
	Errors  interval[float64]       `yaml:"errors"`
	Leak    interval[Bytes]         `yaml:"leak"`
	Note    string                  `yaml:"note"`
}

func (r *randomFault) random() fault.Random {
	out := fault.Random{Kind: r.Kind, Every: r.Every, From: r.From, Until: r.Until,
		For: ends(r.For), Amount: ends(r.Amount), Length: ends(r.Length), Period: ends(r.Period), Jitter: ends(r.Jitter),
		Errors: ends(r.Errors), Leak: fault.Range[float64]{Min: float64(r.Leak.Min), Max: float64(r.Leak.Max)}}
	for _, a := range r.Targets {
		out.Targets = append(out.Targets, a.target())
	}
	return out
}

func ends[T float64 | time.Duration](r interval[T]) fault.Range[T] {
	return fault.Range[T]{Min: r.Min, Max: r.Max}
}
