package appfile

import (
	"io"
	"math"
	"reflect"
	"time"

	"foresail.dev/load"
	"go.yaml.in/yaml/v3"
)

// segment is a mapping with the one key that names its shape.
type segment struct {
	Constant *constant     `yaml:"constant"`
	Ramp     *ramp         `yaml:"ramp"`
	Diurnal  *diurnal      `yaml:"diurnal"`
	Spike    *spike        `yaml:"spike"`
	Trace    *traceSegment `yaml:"trace"`
	Bursts   *bursts       `yaml:"bursts"`
	Flash    *flash        `yaml:"flash"`
	Steps    *steps        `yaml:"steps"`

	Uncertain *uncertain `yaml:"uncertain"`
}

// Check asks for exactly one shape.
func (s *segment) Check(at Place) {
	if at.node.Kind == yaml.MappingNode && len(at.node.Content) != 2 {
		at.Faultf("must have exactly one of constant, ramp, diurnal, spike, trace, bursts, flash, steps, uncertain")
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
	case s.Bursts != nil:
		return "bursts", s.Bursts.For
	case s.Flash != nil:
		return "flash", s.Flash.For
	case s.Steps != nil:
		return "steps", s.Steps.length()
	case s.Uncertain != nil:
		return "uncertain", s.Uncertain.For
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
	case s.Bursts != nil:
		b := s.Bursts
		return load.Segment{Shape: load.Bursts, From: b.Base, To: b.Peak, Every: b.Every, Width: b.Width, Seed: b.Seed, For: b.For}
	case s.Flash != nil:
		f := s.Flash
		return load.Segment{Shape: load.Flash, From: f.Base, To: f.Peak, At: f.At, Rise: f.Rise, Hold: f.Hold, Decay: f.Decay, For: f.For}
	case s.Steps != nil:
		p := s.Steps
		return load.Segment{Shape: load.Steps, From: p.From, To: p.To, By: p.By, Step: p.Each, For: p.length()}
	case s.Uncertain != nil:
		return s.Uncertain.segment()
	}
	return load.Segment{Shape: load.Constant, From: s.Constant.Level, For: s.Constant.For}
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

type bursts struct {
	Base  float64       `yaml:"base" rule:"required,min=0,max=1e7"`
	Peak  float64       `yaml:"peak" rule:"required,min=0,max=1e7"`
	Every time.Duration `yaml:"every" rule:"required,min=10ms,max=8760h"`
	Width time.Duration `yaml:"width" rule:"required,above=0s"`
	For   time.Duration `yaml:"for" rule:"above=0s"`
	Seed  uint64        `yaml:"seed"`
}

// Check keeps bursts apart on average.
func (s *bursts) Check(at Place) {
	if s.Every > 0 && s.Width > s.Every {
		at.At("width").Faultf("is %s, must be at most every, %s", s.Width, s.Every)
	}
}

type flash struct {
	Base  float64       `yaml:"base" rule:"required,min=0,max=1e7"`
	Peak  float64       `yaml:"peak" rule:"required,min=0,max=1e7"`
	At    time.Duration `yaml:"at" rule:"required"`
	Rise  time.Duration `yaml:"rise" rule:"max=8760h"`
	Hold  time.Duration `yaml:"hold" rule:"max=8760h"`
	Decay time.Duration `yaml:"decay" rule:"required,max=8760h"`
	For   time.Duration `yaml:"for" rule:"above=0s"`
}

// Check keeps the peak within the segment, and above its base.
func (s *flash) Check(at Place) {
	if top := s.At + s.Rise + s.Hold; s.For > 0 && top > s.For {
		at.At("for").Faultf("is %s, but the crowd begins to leave only after %s", s.For, top)
	}
	if hasKey(at.node, "peak") && s.Peak < s.Base {
		at.At("peak").Faultf("is %g, under the base of %g", s.Peak, s.Base)
	}
}

type steps struct {
	From float64       `yaml:"from" rule:"required,min=0,max=1e7"`
	To   float64       `yaml:"to" rule:"required,min=0,max=1e7"`
	By   float64       `yaml:"by" rule:"required,above=0"`
	Each time.Duration `yaml:"each" rule:"required,above=0s"`
}

const maxSteps = 100_000

// Check bounds how many there are.
func (s *steps) Check(at Place) {
	if s.By > 0 && s.count() > maxSteps {
		at.At("by").Faultf("is %g, which makes more than %d steps", s.By, maxSteps)
	}
}

// count is how many levels there are: the last is To, even where the step to it is a smaller one.
func (s *steps) count() float64 { return math.Ceil(math.Abs(s.To-s.From)/s.By-1e-9) + 1 }

// length is at most what fits a time.Duration; ParseLoad refuses what is nearly as long.
func (s *steps) length() time.Duration {
	if s.By <= 0 {
		return 0
	}
	return time.Duration(math.Min(s.count()*float64(s.Each), math.MaxInt64/2))
}
