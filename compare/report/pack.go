package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"

	"foresail.dev/compare"
)

// maxDrawn is how many points of a series the page draws: more than a phone has room for, and small enough that
// hundreds of runs fit in one page.
const maxDrawn = 240

// Of each run the services that hold most are drawn; of the runs with the first seed all that are kept, which are drawn one
// by one too, as long as that is not more than maxServicePoints.
const (
	fewServices      = 8
	maxServicePoints = 3_000_000
)

// packed is what the page's charts are drawn of.
type packed struct {
	Limit     float64       `json:"limit"` // percent
	Reference string        `json:"reference"`
	Managers  []string      `json:"managers"` // in the order of their colours, bare and guarded alike
	Groups    []packedGroup `json:"groups"`
	Runs      []packedRun   `json:"runs"`
}

type packedGroup struct {
	Name   string        `json:"name"`
	Points []packedPoint `json:"points"`
}

type packedPoint struct {
	Manager      string   `json:"manager"`
	Guarded      bool     `json:"guarded,omitempty"`
	Endpoint     string   `json:"endpoint,omitempty"`
	Cores        *float64 `json:"cores,omitempty"`
	CoresCI      *float64 `json:"coresCI,omitempty"`
	Violations   *float64 `json:"violations,omitempty"` // percent
	ViolationsCI *float64 `json:"violationsCI,omitempty"`
}

type packedRun struct {
	Group      int                        `json:"group"`
	Manager    string                     `json:"manager"`
	Seed       uint64                     `json:"seed"`
	Failed     string                     `json:"failed,omitempty"`
	Cores      *float64                   `json:"cores,omitempty"`
	Used       *float64                   `json:"used,omitempty"`
	Replicas   *float64                   `json:"replicas,omitempty"`
	Violated   string                     `json:"violated,omitempty"`
	Changes    int                        `json:"changes"`
	Scaling    int                        `json:"scaling"`
	Objectives map[string]packedObjective `json:"objectives"`
	Series     *compare.Series            `json:"series,omitempty"`
}

type packedObjective struct {
	Percentile float64 `json:"percentile"`
	MS         float64 `json:"ms"`
}

// pack is the data of the page's charts: JSON, compressed, in base64.
func pack(r *compare.Results) (string, error) {
	p := packed{Limit: r.Violations * 100, Reference: r.Reference, Groups: []packedGroup{}, Runs: []packedRun{}}
	left := maxServicePoints
	for i, rows := range r.Groups() {
		g := packedGroup{Name: rows[0].Application + ", " + rows[0].Load}
		for _, row := range rows {
			if !slices.Contains(p.Managers, row.Manager) {
				p.Managers = append(p.Managers, row.Manager)
			}
			g.Points = append(g.Points, packedPoint{name(row), row.Guarded, row.Endpoint, row.Cores, row.CoresCI, times(row.Violations, 100), times(row.ViolationsCI, 100)})
			for _, seed := range r.Seeds {
				if o := find(r, row, seed); o != nil {
					services := fewServices
					if s := o.Series; s != nil && seed == r.Seeds[0] {
						if n := 2 * len(s.Services) * min(len(s.Cores), maxDrawn); n <= left {
							left, services = left-n, len(s.Services)
						}
					}
					p.Runs = append(p.Runs, packRun(i, name(row), o, services))
				}
			}
		}
		p.Groups = append(p.Groups, g)
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if err := json.NewEncoder(z).Encode(p); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

func times(v *float64, f float64) *float64 {
	if v == nil {
		return nil
	}
	w := *v * f
	return &w
}

func packRun(group int, manager string, o *compare.Outcome, services int) packedRun {
	p := packedRun{Group: group, Manager: manager, Seed: o.Inputs.Seed, Failed: o.Failed, Cores: o.Cores, Used: o.CoresUsed, Replicas: o.Replicas,
		Changes: o.PlanChanges, Scaling: o.ScalingActions, Objectives: map[string]packedObjective{}, Series: thin(o.Series, services)}
	windows, violated := 0, 0
	for _, e := range o.Endpoints {
		p.Objectives[e.Endpoint] = packedObjective{e.Percentile, e.Objective}
		windows, violated = windows+e.Windows, violated+e.Violated
	}
	if windows > 0 {
		share := float64(violated) / float64(windows)
		p.Violated = number("%.2f %% of windows", &share, 100)
	}
	return p
}

// thin is a series in at most maxDrawn longer steps: means, but the largest latency. Endpoints that nobody called are left
// out, and all services but so many; what they use is told only where these are more than a few.
func thin(s *compare.Series, services int) *compare.Series {
	if s == nil {
		return nil
	}
	k := (len(s.Cores) + maxDrawn - 1) / maxDrawn
	mean := func(p compare.Points) compare.Points { return every(p, k, average) }
	out := &compare.Series{Step: s.Step * float64(k), Warmup: s.Warmup, Rate: mean(s.Rate), Cores: mean(s.Cores), Used: mean(s.Used), Replicas: compare.Points{},
		Services: []compare.ServiceSeries{}, Endpoints: []compare.EndpointSeries{}}
	for _, sv := range s.Services[:min(services, len(s.Services))] {
		one := compare.ServiceSeries{Service: sv.Service, Cores: mean(sv.Cores)}
		if services > fewServices {
			one.Used = mean(sv.Used)
		}
		out.Services = append(out.Services, one)
	}
	for _, e := range s.Endpoints {
		if slices.ContainsFunc(e.Latency, func(v float64) bool { return !math.IsNaN(v) }) {
			out.Endpoints = append(out.Endpoints, compare.EndpointSeries{Endpoint: e.Endpoint, Latency: every(e.Latency, k, largest), Violated: e.Violated})
		}
	}
	return out
}

// every joins k points to one, leaving out those where nothing was observed.
func every(p compare.Points, k int, join func([]float64) float64) compare.Points {
	if k < 2 {
		return p
	}
	out := make(compare.Points, 0, len(p)/k+1)
	for chunk := range slices.Chunk(p, k) {
		seen := slices.DeleteFunc(slices.Clone(chunk), math.IsNaN)
		if len(seen) == 0 {
			out = append(out, math.NaN())
			continue
		}
		out = append(out, join(seen))
	}
	return out
}

func average(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func largest(v []float64) float64 { return slices.Max(v) }
