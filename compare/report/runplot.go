package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"foresail.dev/compare"
)

// maxEndpoints is how many endpoints' latencies one picture shows: the worst.
const maxEndpoints = 6

// RunPlot draws one run over time: cores held and used, and the latency of its worst endpoints, each at its objective's
// percentile, with their objectives. An
// error says why there is nothing to draw.
func RunPlot(o *compare.Outcome) (Plot, error) {
	if o.Series == nil {
		return Plot{}, fmt.Errorf("%s: nothing over time is kept of it", o.String())
	}
	legend := newLegend()
	line := func(p *plot.Plot, name string, v compare.Points, i int) error {
		l := draw.LineStyle{Color: colours[i%len(colours)], Width: vg.Points(1.2)}
		legend.Add(name, &plotter.Line{LineStyle: l})
		return lines(p, o.Series, v, l)
	}
	cores, latency := newPlot(o.String(), "", "cores"), newPlot("", "minutes", "latency, ms")
	if err := line(cores, "cores held", o.Series.Cores, 0); err != nil {
		return Plot{}, err
	}
	if err := line(cores, "cores used", o.Series.Used, 1); err != nil {
		return Plot{}, err
	}
	bounds := map[float64]bool{}
	for i, e := range worstEndpoints(o) {
		for _, s := range o.Series.Endpoints {
			if s.Endpoint != e.Endpoint {
				continue
			}
			if err := line(latency, e.Endpoint, s.Latency, i+2); err != nil {
				return Plot{}, err
			}
			bounds[e.Objective] = true
		}
	}
	for bound := range bounds {
		f := plotter.NewFunction(func(float64) float64 { return bound })
		f.LineStyle = dashed()
		latency.Add(f)
		latency.Y.Max = math.Max(latency.Y.Max, bound)
	}
	logarithmic(&cores.Y)
	logarithmic(&latency.Y)
	png, err := tiles([][]*plot.Plot{{cores}, {latency}}, legend, 2+maxEndpoints, vg.Points(900), vg.Points(520))
	return Plot{fileName(o.String()) + ".png", png}, err
}

// worstEndpoints are those that were called, by violations and then by how near they came to their objective.
func worstEndpoints(o *compare.Outcome) []compare.EndpointOutcome {
	var out []compare.EndpointOutcome
	for _, e := range o.Endpoints {
		if e.At != nil {
			out = append(out, e)
		}
	}
	share := func(e compare.EndpointOutcome) float64 { return float64(e.Violated) / math.Max(float64(e.Windows), 1) }
	slices.SortStableFunc(out, func(a, b compare.EndpointOutcome) int {
		return cmp.Or(cmp.Compare(share(b), share(a)), cmp.Compare(*b.At/b.Objective, *a.At/a.Objective))
	})
	return out[:min(len(out), maxEndpoints)]
}
