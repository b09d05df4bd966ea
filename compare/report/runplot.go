package report

import (
	"cmp"
	"errors"
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

// ServicesPlot draws one run over time service by service, as far as they are kept: cores held and used, each on its own
// scale, below the load, the cores of all, and the worst endpoint's latency. An error says why there is nothing to draw.
func ServicesPlot(o *compare.Outcome) (Plot, error) {
	s := o.Series
	if s == nil {
		return Plot{}, fmt.Errorf("%s: nothing over time is kept of it", o.String())
	}
	held, used := draw.LineStyle{Color: colours[0], Width: vg.Points(1.2)}, draw.LineStyle{Color: colours[1], Width: vg.Points(1)}
	legend := newLegend()
	legend.Add("load; held; latency", &plotter.Line{LineStyle: held})
	legend.Add("used", &plotter.Line{LineStyle: used})
	type panel struct {
		title, unit string
		held, used  compare.Points
		limit       float64
	}
	panels := []panel{{"load", "requests/s", s.Rate, nil, 0}, {"all services", "cores", s.Cores, s.Used, 0}}
	for _, e := range worstEndpoints(o)[:min(1, len(worstEndpoints(o)))] {
		for _, of := range s.Endpoints {
			if of.Endpoint == e.Endpoint {
				panels = append(panels, panel{fmt.Sprintf("%s, p%g", e.Endpoint, e.Percentile), "ms", of.Latency, nil, e.Objective})
			}
		}
	}
	for _, of := range s.Services {
		panels = append(panels, panel{of.Service, "cores", of.Cores, of.Used, 0})
	}
	const columns = 4
	var grid [][]*plot.Plot
	for len(panels) > 0 {
		row := make([]*plot.Plot, columns) // nil: an empty place
		for i := range min(columns, len(panels)) {
			p := panels[i]
			row[i] = newPlot(p.title, "", p.unit)
			row[i].Y.Min = 0
			if err := errors.Join(lines(row[i], s, p.held, held), lines(row[i], s, p.used, used)); err != nil {
				return Plot{}, err
			}
			if p.limit > 0 {
				f := plotter.NewFunction(func(float64) float64 { return p.limit })
				f.LineStyle = dashed()
				row[i].Add(f)
				row[i].Y.Max = math.Max(row[i].Y.Max, p.limit)
			}
			row[i].Y.Max = math.Max(row[i].Y.Max*1.05, row[i].Y.Min+1e-3)
		}
		grid, panels = append(grid, row), panels[min(columns, len(panels)):]
	}
	for i := range grid[len(grid)-1] {
		if p := grid[len(grid)-1][i]; p != nil {
			p.X.Label.Text = "minutes"
		}
	}
	png, err := tiles(grid, legend, 2, vg.Points(1400), vg.Points(float64(130*len(grid)+40)))
	return Plot{fileName(o.String()) + "-services.png", png}, err
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
