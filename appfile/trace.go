package appfile

import (
	"errors"
	"io"
	"time"

	"foresail.dev/load"
	"foresail.dev/load/trace"
)

// traceSegment is a curve from a file; gzip is undone where it is found.
type traceSegment struct {
	File   string        `yaml:"file" rule:"required"`
	Format string        `yaml:"format" rule:"oneof=lines|counts|arrivals"`
	Step   time.Duration `yaml:"step" rule:"min=1ms,max=24h"`
	Scale  *float64      `yaml:"scale" rule:"above=0,max=1e6"`
	Skip   time.Duration `yaml:"skip"`
	For    time.Duration `yaml:"for" rule:"above=0s"`
}

func (t *traceSegment) segment(at Place, open func(string) (io.ReadCloser, error)) load.Segment {
	if open == nil {
		at.At("file").Faultf("cannot be read: no files are read here")
		return load.Segment{}
	}
	file, err := open(t.File)
	if err != nil {
		at.At("file").Faultf("%v", err)
		return load.Segment{}
	}
	defer file.Close() // only read
	values, natural, err := trace.Read(file, trace.Format(t.Format), t.Step)
	var bad *trace.LineError
	switch {
	case errors.As(err, &bad):
		at.c.add(Fault{File: t.File, Line: bad.Line, Message: bad.Message})
		return load.Segment{}
	case err != nil:
		at.At("file").Faultf("%s cannot be read: %v", t.File, err)
		return load.Segment{}
	}
	step := natural
	if t.Step > 0 {
		step = t.Step
	}
	if float64(len(values))*step.Hours() > maxYears*365*24 {
		at.At("step").Faultf("makes %d levels last more than %d years", len(values), maxYears)
		return load.Segment{}
	}
	if skip := int(t.Skip / step); skip >= len(values) {
		at.At("skip").Faultf("is %s, but the trace lasts only %s", t.Skip, time.Duration(len(values))*step)
	} else {
		values = values[skip:]
	}
	if t.Scale != nil {
		for i := range values {
			values[i] *= *t.Scale
		}
	}
	s := load.Segment{Shape: load.Trace, Values: values, Step: step, For: t.For}
	if s.For == 0 {
		s.For = time.Duration(len(values)) * step
	}
	return s
}
