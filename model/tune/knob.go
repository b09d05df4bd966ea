package tune

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Kind is what values a knob has.
type Kind uint8

// The kinds.
const (
	Continuous Kind = iota // a range of real numbers
	Integer                // a range of whole numbers
	Choice                 // one of a list
)

// Knob is something that can be set.
type Knob struct {
	Label    string // "frontend:cpu": of a service, as package latency labels its knobs
	Kind     Kind
	Min, Max float64   // of a range; both belong to it
	Log      bool      // a range's values are drawn evenly in logarithms; Min > 0
	Choices  []string  // of Choice, at least one
	Numbers  []float64 // of Choice, where all choices are numbers: theirs, ascending
	Default  float64   // what it is set to before anything is tried; of Choice, an index
	Costs    bool      // a larger value costs more
}

// Setting is a value for each knob of a space, in its order; of a Choice, its index.
type Setting []float64

// Space is the knobs that are searched, and what settings cost.
type Space struct {
	Knobs []Knob
	// Cost is what a setting costs: it must grow, or stay, with each knob that Costs, and depend on no other. nil: nothing.
	Cost func(Setting) float64
	// Most is what a setting may cost at most; 0: there is no bound. The default setting is tried whatever it costs.
	Most float64
}

// Check reports all that is wrong.
func (s *Space) Check() error {
	var faults []error
	fault := func(k *Knob, format string, args ...any) {
		faults = append(faults, fmt.Errorf("knob %s: "+format, append([]any{k.Label}, args...)...))
	}
	if len(s.Knobs) == 0 {
		return errors.New("there is no knob to turn")
	}
	seen := map[string]bool{}
	for i := range s.Knobs {
		k := &s.Knobs[i]
		if seen[k.Label] {
			fault(k, "it is there twice")
		}
		seen[k.Label] = true
		if service, name, ok := strings.Cut(k.Label, ":"); !ok || service == "" || name == "" {
			fault(k, "its label is not a service's name, a colon and its own")
		}
		if k.Kind == Choice {
			if len(k.Choices) == 0 || k.Numbers != nil && len(k.Numbers) != len(k.Choices) {
				fault(k, "%d choices and %d numbers", len(k.Choices), len(k.Numbers))
			}
			if !(k.Default >= 0 && int(k.Default) < len(k.Choices)) {
				fault(k, "its default is none of its choices")
			}
			continue
		}
		if !(k.Min <= k.Max) || math.IsInf(k.Max-k.Min, 0) {
			fault(k, "its range is %v..%v", k.Min, k.Max)
		}
		if k.Log && !(k.Min > 0) {
			fault(k, "its range begins at %v: on a logarithmic scale it must begin above 0", k.Min)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if s.Most > 0 {
		if least := s.cost(s.at(make([]float64, len(s.Knobs)))); least > s.Most {
			return fmt.Errorf("a setting may cost %v at most, and the cheapest costs %v: raise the bound, or lower what knobs can be set to", s.Most, least)
		}
	}
	return nil
}

func (s *Space) cost(v Setting) float64 {
	if s.Cost == nil {
		return 0
	}
	return s.Cost(v)
}

// Default is the setting before anything is tried.
func (s *Space) Default() Setting {
	out := make(Setting, len(s.Knobs))
	for i := range s.Knobs {
		out[i] = s.Knobs[i].Default
	}
	return out
}

// at is the setting at a point of the unit cube, its numbers rounded down so that it costs no more than before.
func (s *Space) at(u []float64) Setting {
	out := make(Setting, len(u))
	s.raw(out, u)
	for i := range out {
		if k := &s.Knobs[i]; k.Kind == Continuous {
			out[i] = math.Max(k.Min, short(out[i]))
		}
	}
	return out
}

// raw is at without rounding.
func (s *Space) raw(out Setting, u []float64) {
	for i := range u {
		out[i] = s.Knobs[i].at(u[i])
	}
}

func (k *Knob) at(u float64) float64 {
	switch {
	case k.Kind == Choice:
		return math.Min(math.Floor(u*float64(len(k.Choices))), float64(len(k.Choices)-1))
	case k.Kind == Integer && k.Log:
		return math.Min(math.Floor(k.Min*math.Exp(u*math.Log((k.Max+1)/k.Min))), k.Max)
	case k.Kind == Integer:
		return math.Min(math.Floor(k.Min+u*(k.Max+1-k.Min)), k.Max)
	case k.Log:
		return math.Max(k.Min, math.Min(k.Max, k.Min*math.Exp(u*math.Log(k.Max/k.Min))))
	}
	return math.Max(k.Min, math.Min(k.Max, k.Min+u*(k.Max-k.Min)))
}

// short keeps four digits: no knob is turned more finely, and settings stay readable.
func short(v float64) float64 {
	if v == 0 {
		return 0
	}
	digits := 3 - int(math.Floor(math.Log10(math.Abs(v))))
	if p := math.Pow10(digits); digits >= 0 && p < 1e15 {
		return math.Floor(v*p*(1+1e-12)) / p
	}
	p := math.Pow10(-digits)
	return math.Floor(v/p*(1+1e-12)) * p
}

// inverse is a point of the unit range that at turns into v, the middle of them where there are several.
func (k *Knob) inverse(v float64) float64 {
	u := 0.0
	switch {
	case k.Kind == Choice:
		u = (v + 0.5) / float64(len(k.Choices))
	case k.Kind == Integer && k.Log:
		u = math.Log((v+0.5)/k.Min) / math.Log((k.Max+1)/k.Min)
	case k.Kind == Integer:
		u = (v + 0.5 - k.Min) / (k.Max + 1 - k.Min)
	case k.Max == k.Min:
	case k.Log:
		u = math.Log(v/k.Min) / math.Log(k.Max/k.Min)
	default:
		u = (v - k.Min) / (k.Max - k.Min)
	}
	return math.Max(0, math.Min(1, u))
}

// fit is the setting at a point of the unit cube; where it would cost too much, with all that costs turned down alike.
func (s *Space) fit(u []float64) Setting {
	v := make(Setting, len(u))
	if s.raw(v, u); s.Most <= 0 || s.cost(v) <= s.Most {
		return s.at(u)
	}
	part := make([]float64, len(u))
	down := func(by float64) []float64 {
		for i := range u {
			if part[i] = u[i]; s.Knobs[i].Costs {
				part[i] *= by
			}
		}
		return part
	}
	low, high := 0.0, 1.0
	for range 10 {
		mid := (low + high) / 2
		if s.raw(v, down(mid)); s.cost(v) <= s.Most {
			low = mid
		} else {
			high = mid
		}
	}
	return s.at(down(low))
}

// Draw is a setting at random that does not cost too much.
func (s *Space) Draw(r *rand.Rand) Setting {
	u := make([]float64, len(s.Knobs))
	for i := range u {
		u[i] = r.Float64()
	}
	return s.fit(u)
}

// hypercube is n points of the unit cube that fill it: a Latin hypercube, in which each knob has a value in each of n parts of its
// range.
func (s *Space) hypercube(n int, r *rand.Rand) [][]float64 {
	cells := make([][]int, len(s.Knobs))
	for i := range cells {
		cells[i] = r.Perm(n)
	}
	out := make([][]float64, n)
	for k := range out {
		out[k] = make([]float64, len(s.Knobs))
		for i := range out[k] {
			out[k][i] = (float64(cells[i][k]) + r.Float64()) / float64(n)
		}
	}
	return out
}

// towards is the setting at a share of the way from the default one to a point of the unit cube.
func (s *Space) towards(u []float64, share float64) Setting {
	for i := range u {
		from := s.Knobs[i].inverse(s.Knobs[i].Default)
		u[i] = from + share*(u[i]-from)
	}
	return s.fit(u)
}

// near is a setting beside another: some of its knobs moved by about so much of their range.
func (s *Space) near(v Setting, by float64, r *rand.Rand) Setting {
	u := make([]float64, len(v))
	// As many knobs as make one in the mean, and often more: a step in all of them at once is hardly ever for the better.
	share := math.Exp(-r.Float64() * math.Log(float64(len(v))))
	must := r.IntN(len(v))
	for i := range u {
		if u[i] = s.Knobs[i].inverse(v[i]); i == must || r.Float64() < share {
			u[i] = math.Max(0, math.Min(1, u[i]+by*r.NormFloat64()))
		}
	}
	return s.fit(u)
}

// Inputs are the labels of what models are told of a setting: those of the knobs, and for choices that are no numbers one for
// each choice.
func (s *Space) Inputs() (out []string) {
	for i := range s.Knobs {
		k := &s.Knobs[i]
		if k.Kind != Choice || k.Numbers != nil {
			out = append(out, k.Label)
			continue
		}
		for _, c := range k.Choices {
			out = append(out, k.Label+"="+c)
		}
	}
	return out
}

// encode appends the Inputs of a setting to a row.
func (s *Space) encode(row []float64, v Setting) []float64 {
	for i := range s.Knobs {
		k := &s.Knobs[i]
		switch {
		case k.Kind != Choice:
			row = append(row, v[i])
		case k.Numbers != nil:
			row = append(row, k.Numbers[int(v[i])])
		default:
			for c := range k.Choices {
				row = append(row, float64(b2i(int(v[i]) == c)))
			}
		}
	}
	return row
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Text is a knob's value as commands and people are told it.
func (k *Knob) Text(v float64) string {
	if k.Kind == Choice {
		return k.Choices[int(v)]
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// Parse is the value that Text writes. The error says what a value may be.
func (k *Knob) Parse(text string) (float64, error) {
	if k.Kind == Choice {
		for i, c := range k.Choices {
			if c == text {
				return float64(i), nil
			}
		}
		return 0, fmt.Errorf("%s is %q, which is none of %s", k.Label, text, strings.Join(k.Choices, ", "))
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || k.Kind == Integer && v != math.Trunc(v) {
		return 0, fmt.Errorf("%s is %q, which is no number that it can have", k.Label, text)
	}
	return v, nil
}

// key is a setting as a map's key.
func (s Setting) key() string {
	var b strings.Builder
	for _, v := range s {
		b.WriteString(strconv.FormatFloat(v, 'g', 8, 64))
		b.WriteByte(' ')
	}
	return b.String()
}
