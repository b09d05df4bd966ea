package appfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/load"
	"go.yaml.in/yaml/v3"
)

// ReadLoad reads a load file for an application; the trace files it names lie relative to it. What is wrong in them
// comes as Faults; a load file that can't be read, as another error.
func ReadLoad(path string, app *foresail.App) (*load.Load, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("load file: %w", err)
	}
	return ParseLoad(path, data, app, func(trace string) (io.ReadCloser, error) {
		if !filepath.IsAbs(trace) {
			trace = filepath.Join(filepath.Dir(path), trace)
		}
		return os.Open(trace)
	})
}

// ParseLoad reads a load file's content; name is the file's name in faults, and open opens the trace files by the
// paths that the file gives; nil where none can be. The error is nil or Faults.
func ParseLoad(name string, data []byte, app *foresail.App, open func(path string) (io.ReadCloser, error)) (*load.Load, error) {
	c := newCollector(name)
	var f loadFile
	at, ok := decodeInto(c, data, reflect.ValueOf(&f).Elem())
	if ok {
		f.check(at)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	l := &load.Load{Name: f.Load, Drift: f.Drift, Think: f.Think}
	if f.Mode == "closed" {
		l.Mode = load.Closed
	}
	for i, s := range f.Curve {
		l.Curve = append(l.Curve, s.segment(at.At("curve", i), open))
	}
	whole := 0.0
	for _, s := range l.Curve {
		whole += s.For.Hours()
	}
	if whole > maxYears*365*24 { // offsets from the start must fit a time.Duration
		at.At("curve").Faultf("lasts more than %d years", maxYears)
	}
	l.Mix = f.Mix.points(at.At("mix"), app)
	if err := c.err(); err != nil {
		return nil, err
	}
	return l, nil
}

const maxYears = 100

type loadFile struct {
	Load  string        `yaml:"load" rule:"required"`
	Note  string        `yaml:"note"`
	Mode  string        `yaml:"mode" rule:"oneof=open|closed"`
	Curve []segment     `yaml:"curve" rule:"required"`
	Mix   mix           `yaml:"mix"`
	Drift bool          `yaml:"drift"`
	Think time.Duration `yaml:"think" rule:"max=24h"`
}

func (f *loadFile) check(at Place) {
	if f.Load != "" {
		checkName(at.At("load"), "a load's", f.Load)
	}
	if hasKey(at.node, "think") && f.Mode != "closed" {
		at.At("think").Faultf("is a pause of users; an open load has none: take it out or say mode: closed")
	}
	if f.Drift && len(f.Mix) < 2 {
		at.At("drift").Faultf("needs a mix with at least two points in time")
	}
	for i := range f.Curve[:max(len(f.Curve)-1, 0)] {
		if shape, d := f.Curve[i].length(); shape != "" && shape != "trace" && d == 0 {
			at.At("curve", i, shape).Faultf("needs for, how long it lasts: only the last segment may last for ever")
		}
	}
}

// segment is a mapping with the one key that names its shape.
type segment struct {
	Constant *constant `yaml:"constant"`
	Ramp     *ramp     `yaml:"ramp"`
	Diurnal  *diurnal  `yaml:"diurnal"`
	Spike    *spike    `yaml:"spike"`
	Trace    *trace    `yaml:"trace"`
}

type constant struct {
	Level float64       `yaml:"level" rule:"required,min=0,max=1e7"`
	For   time.Duration `yaml:"for" rule:"above=0s"`
}

// read takes the level alone, too.
func (s *constant) read(at Place) {
	if at.node.Kind == yaml.ScalarNode {
		decode(at, reflect.ValueOf(&s.Level).Elem(), []rule{{"min", "0"}, {"max", "1e7"}})
		return
	}
	type plainConstant constant
	decodeStruct(at, reflect.ValueOf((*plainConstant)(s)).Elem())
}

type ramp struct {
	From float64       `yaml:"from" rule:"required,min=0,max=1e7"`
	To   float64       `yaml:"to" rule:"required,min=0,max=1e7"`
	For  time.Duration `yaml:"for" rule:"required,above=0s"`
}

type diurnal struct {
	Low    float64       `yaml:"low" rule:"required,min=0,max=1e7"`
	High   float64       `yaml:"high" rule:"required,min=0,max=1e7"`
	Period time.Duration `yaml:"period" rule:"required,above=0s"`
	For    time.Duration `yaml:"for" rule:"above=0s"`
}

// Check holds low under high.
func (s *diurnal) Check(at Place) {
	if s.High < s.Low && hasKey(at.node, "high") {
		at.At("high").Faultf("is %g, under the low of %g", s.High, s.Low)
	}
}

type spike struct {
	Base  float64       `yaml:"base" rule:"required,min=0,max=1e7"`
	Peak  float64       `yaml:"peak" rule:"required,min=0,max=1e7"`
	At    time.Duration `yaml:"at" rule:"required"`
	Width time.Duration `yaml:"width" rule:"required,above=0s"`
	For   time.Duration `yaml:"for" rule:"above=0s"`
}

// Check keeps the spike within its segment.
func (s *spike) Check(at Place) {
	if s.For > 0 && s.At+s.Width > s.For {
		at.At("for").Faultf("is %s, but the spike ends only after %s", s.For, s.At+s.Width)
	}
}

// Check asks for exactly one shape.
func (s *segment) Check(at Place) {
	if at.node.Kind == yaml.MappingNode && len(at.node.Content) != 2 {
		at.Faultf("must have exactly one of constant, ramp, diurnal, spike, trace")
	}
}

// length is the shape's name, and how long it lasts as far as the file says.
func (s *segment) length() (shape string, d time.Duration) {
	switch {
	case s.Constant != nil:
		return "constant", s.Constant.For
	case s.Ramp != nil:
		return "ramp", s.Ramp.For
	case s.Diurnal != nil:
		return "diurnal", s.Diurnal.For
	case s.Spike != nil:
		return "spike", s.Spike.For
	case s.Trace != nil:
		return "trace", s.Trace.For
	}
	return "", 0
}

func (s *segment) segment(at Place, open func(string) (io.ReadCloser, error)) load.Segment {
	switch {
	case s.Ramp != nil:
		return load.Segment{Shape: load.Ramp, From: s.Ramp.From, To: s.Ramp.To, For: s.Ramp.For}
	case s.Diurnal != nil:
		d := s.Diurnal
		return load.Segment{Shape: load.Diurnal, From: d.Low, To: d.High, Period: d.Period, For: d.For}
	case s.Spike != nil:
		p := s.Spike
		return load.Segment{Shape: load.Spike, From: p.Base, To: p.Peak, At: p.At, Width: p.Width, For: p.For}
	case s.Trace != nil:
		return s.Trace.segment(at.At("trace"), open)
	}
	return load.Segment{Shape: load.Constant, From: s.Constant.Level, For: s.Constant.For}
}

// mix is a mapping of shares, or a list of {at, shares}.
type mix []mixPoint

type mixPoint struct {
	At     time.Duration      `yaml:"at"`
	Shares map[string]float64 `yaml:"shares" rule:"required"`
}

func (m *mix) read(at Place) {
	if at.node.Kind == yaml.MappingNode {
		p := mixPoint{}
		decode(at, reflect.ValueOf(&p.Shares).Elem(), []rule{{"required", ""}})
		*m = mix{p}
		return
	}
	decode(at, reflect.ValueOf((*[]mixPoint)(m)).Elem(), []rule{{"required", ""}})
	for i := 1; i < len(*m); i++ {
		if (*m)[i].At <= (*m)[i-1].At {
			at.At(i, "at").Faultf("is %s, must be after the point before it, %s", (*m)[i].At, (*m)[i-1].At)
		}
	}
}

func (m mix) points(at Place, app *foresail.App) []load.MixPoint {
	names := make([]string, len(app.Endpoints))
	for i := range names {
		names[i] = app.Endpoints[i].Name
	}
	var out []load.MixPoint
	for i, p := range m {
		at := at
		if at.node.Kind == yaml.SequenceNode {
			at = at.At(i, "shares")
		}
		point, sum, known := load.MixPoint{At: p.At, Shares: make([]float64, len(names))}, 0.0, true
		for name, v := range p.Shares {
			id := slices.Index(names, name)
			switch {
			case id < 0:
				at.At(name).Key().Faultf("is not an endpoint of %s%s", app.Name, didYouMean(name, names))
				known = false
				continue
			case v < 0 || v > 1e12:
				at.At(name).Faultf("is %g, a share must lie within 0..1e12", v)
			}
			point.Shares[id] = v
			sum += v
		}
		if known && sum <= 0 {
			at.Faultf("gives no endpoint a share above 0")
		}
		out = append(out, point)
	}
	return out
}
