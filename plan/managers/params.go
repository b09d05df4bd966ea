package managers

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Param is a setting of a manager that tuning may move. Its default is the manager's own.
type Param struct {
	Name     string
	Min, Max float64 // both belong to the range
	Default  float64
	Log      bool // steps are better taken as factors than as differences; Min is then above 0
	Integer  bool // whole numbers only
	Fixed    bool // tuning leaves it alone
	Doc      string
	Choices  []string // what the values 0, 1, … stand for; nil: themselves
}

// String reads like "target 0.2..0.9".
func (p Param) String() string {
	s := fmt.Sprintf("%s %v..%v", p.Name, p.Min, p.Max)
	switch {
	case p.Choices != nil:
		return fmt.Sprintf("%s (0..%d: %s)", p.Name, len(p.Choices)-1, strings.Join(p.Choices, ", "))
	case p.Integer:
		s += " (whole numbers)"
	}
	return s
}

// Params are the settings of the named manager that matter most, few by intention: an equal budget of tuning runs goes
// further where there is less to tune. None for one that has none or that is not there. The result is the caller's.
func Params(name string) []Param {
	for _, t := range table {
		if t.name == name {
			return slices.Clone(t.params)
		}
	}
	return nil
}

// values are a manager's settings with the defaults filled in.
type values map[string]float64

// duration is a setting given in seconds.
func (v values) duration(name string) time.Duration {
	return time.Duration(math.Round(v[name] * float64(time.Second)))
}

// fill checks settings against the manager's own and fills in the defaults; it tells every fault at once.
func fill(name string, params []Param, settings map[string]float64) (values, error) {
	v := make(values, len(params))
	for _, p := range params {
		v[p.Name] = p.Default
	}
	var errs []error
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		i := slices.IndexFunc(params, func(p Param) bool { return p.Name == k })
		x := settings[k]
		switch {
		case i < 0 && len(params) == 0:
			errs = append(errs, fmt.Errorf("%s: unknown setting %q: it has none", name, k))
		case i < 0:
			errs = append(errs, fmt.Errorf("%s: unknown setting %q: use %s", name, k, list(params)))
		case !(x >= params[i].Min && x <= params[i].Max): // not a number, too
			errs = append(errs, fmt.Errorf("%s: %s %v is out of range: use %v to %v", name, k, x, params[i].Min, params[i].Max))
		case params[i].Integer && x != math.Trunc(x):
			errs = append(errs, fmt.Errorf("%s: %s %v: use a whole number from %v to %v", name, k, x, params[i].Min, params[i].Max))
		default:
			v[k] = x
		}
	}
	return v, errors.Join(errs...)
}

func list(params []Param) string {
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.String()
	}
	return strings.Join(names, ", ")
}
