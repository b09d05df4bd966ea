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
	l := &load.Load{Name: f.Load, Drift: f.Drift, Cycle: f.Cycle, Think: f.Think}
	if f.Noise != nil {
		l.Noise = load.Noise{CV: f.Noise.CV, Step: f.Noise.Step, Seed: f.Noise.Seed}
	}
	if w := f.Wander; w != nil {
		l.Wander = &load.Wander{Spread: w.Uncertainty, Day: w.Day, Seed: w.Seed}
	}
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
	Cycle time.Duration `yaml:"cycle" rule:"above=0s"`
	Think time.Duration `yaml:"think" rule:"max=24h"`
	Noise *noise        `yaml:"noise"`

	Wander *wander `yaml:"wander"`
}

type noise struct {
	CV   float64       `yaml:"cv" rule:"required,above=0,max=1"`
	Step time.Duration `yaml:"step" rule:"min=10ms"`
	Seed uint64        `yaml:"seed"`
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
	if hasKey(at.node, "cycle") {
		f.checkCycle(at)
	}
	for i := range f.Curve[:max(len(f.Curve)-1, 0)] {
		if shape, d := f.Curve[i].length(); shape != "" && shape != "trace" && d == 0 {
			at.At("curve", i, shape).Faultf("needs for, how long it lasts: only the last segment may last for ever")
		}
	}
}

// checkCycle keeps all points of the mix within one cycle.
func (f *loadFile) checkCycle(at Place) {
	if len(f.Mix) < 2 {
		at.At("cycle").Faultf("needs a mix with at least two points in time")
	}
	for i, p := range f.Mix {
		if f.Cycle > 0 && p.At >= f.Cycle {
			at.At("mix", i, "at").Faultf("is %s, must be before the cycle's end, %s", p.At, f.Cycle)
		}
	}
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
