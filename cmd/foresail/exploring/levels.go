package exploring

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/load"
)

// The most that a load may be.
const (
	maxUsers  = 100_000
	maxRate   = 1_000_000 // requests/s
	maxLevels = 1000
)

// ParseLevels reads "4..48/2", levels from one to another with a distance, or "300,600,1350".
func ParseLevels(text string, most float64) ([]float64, error) {
	var out []float64
	number := func(s string) (float64, error) {
		v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || !(v > 0 && v <= most) {
			return 0, fmt.Errorf("%q: %q must be a number above 0, up to %g", text, s, most)
		}
		return v, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, rest, ranged := strings.Cut(part, "..")
		lo, err := number(from)
		if err != nil {
			return nil, err
		}
		if !ranged {
			out = append(out, lo)
			continue
		}
		to, step, stepped := strings.Cut(rest, "/")
		hi, err := number(to)
		if err != nil {
			return nil, err
		}
		by := 1.0
		if stepped {
			if by, err = number(step); err != nil {
				return nil, err
			}
		}
		if hi < lo {
			return nil, fmt.Errorf("%q: %s is below %s: give the smaller one first", text, to, from)
		}
		if (hi-lo)/by > maxLevels {
			return nil, fmt.Errorf("%q: these are more than %d levels", text, maxLevels)
		}
		for k := 0; lo+float64(k)*by <= hi*(1+1e-9); k++ {
			out = append(out, lo+float64(k)*by)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// stepsOf are the levels of a load that goes up or down in steps and does nothing else, and how long each lasts.
func stepsOf(l *load.Load) (levels []float64, each time.Duration) {
	if len(l.Curve) != 1 {
		return nil, 0
	}
	s := &l.Curve[0]
	switch s.Shape {
	case load.Constant:
		return []float64{s.From}, s.For
	case load.Steps:
		from, to := min(s.From, s.To), max(s.From, s.To)
		for k := 0; s.By > 0 && from+float64(k)*s.By <= to*(1+1e-9); k++ {
			levels = append(levels, from+float64(k)*s.By)
		}
		return levels, s.Step
	}
	return nil, 0
}

// parseMix reads "compose-post=5,read-home-timeline=80".
func parseMix(text string, app *foresail.App) ([]load.MixPoint, error) {
	shares := make([]float64, len(app.Endpoints))
	sum := 0.0
	for part := range strings.SplitSeq(text, ",") {
		name, share, _ := strings.Cut(part, "=")
		id, ok := app.EndpointByName(strings.TrimSpace(name))
		if !ok {
			return nil, fmt.Errorf("%s has no endpoint %q: it has %s", app.Name, name, endpoints(app))
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
		if err != nil || !(v >= 0) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%q: give each endpoint a share that is not negative, as in %s=1", part, app.Endpoints[0].Name)
		}
		shares[id], sum = v, sum+v
	}
	if sum <= 0 {
		return nil, fmt.Errorf("%q: all shares are 0", text)
	}
	return []load.MixPoint{{Shares: shares}}, nil
}

func endpoints(app *foresail.App) string {
	names := make([]string, len(app.Endpoints))
	for i := range app.Endpoints {
		names[i] = app.Endpoints[i].Name
	}
	return strings.Join(names, ", ")
}

// withLevels are the loads to explore under: one for each level, or the load as it is where there are none.
func withLevels(base *load.Load, levels []float64) []Load {
	if len(levels) == 0 {
		return []Load{{Load: base}}
	}
	out := make([]Load, len(levels))
	for i, v := range levels {
		l := *base
		l.Curve = []load.Segment{{From: v}}
		out[i] = Load{&l, v}
	}
	return out
}

// ParseBudget reads how long objectives may be violated: "60s", or "5%" of a time.
func ParseBudget(text string, of time.Duration) (time.Duration, error) {
	if share, ok := strings.CutSuffix(text, "%"); ok {
		v, err := strconv.ParseFloat(share, 64)
		if err != nil || !(v > 0 && v <= 100) {
			return 0, cli.Usagef("--budget %s: give a share above 0%% and up to 100%%", text)
		}
		if of <= 0 {
			return 0, cli.Usagef("--budget %s: a share of what? Give --for, or a time", text)
		}
		return time.Duration(v / 100 * float64(of)).Round(time.Second), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, cli.Usagef("--budget %s: give a time, like 60s, or a share of --for, like 5%%", text)
	}
	return d, nil
}
