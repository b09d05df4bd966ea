package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"foresail.dev/compare"
)

// The page's kind of letters, too; gonum/plot has one default for all plots.
func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

// Plot is a picture and the name of its file.
type Plot struct {
	Name string
	PNG  []byte
}

// Plots draws, for each application, cores against violations under each load; and for each application and load, cores
// and latency over time with the first seed.
func Plots(r *compare.Results) ([]Plot, error) {
	var out []Plot
	add := func(name string, png []byte, err error) error {
		if err == nil && png != nil {
			out = append(out, Plot{fileName(name) + ".png", png})
		}
		return err
	}
	groups := r.Groups()
	for i := 0; i < len(groups); {
		n := i
		for n < len(groups) && groups[n][0].Application == groups[i][0].Application {
			n++
		}
		png, err := spending(r, groups[i:n])
		if err := add(groups[i][0].Application, png, err); err != nil {
			return nil, err
		}
		i = n
	}
	for _, rows := range groups {
		png, err := overTime(r, rows)
		if err := add(rows[0].Application+"-"+rows[0].Load, png, err); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fileName keeps what is safe in a file's name.
func fileName(s string) string {
	s = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			return c
		}
		return '-'
	}, s)
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c == '-' }), "-")
}

// colours tell managers apart, also for most people who see fewer colours.
var colours = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff}, color.RGBA{0xcc, 0x79, 0xa7, 0xff},
	color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff}, color.RGBA{0x8c, 0x56, 0x4b, 0xff}, color.RGBA{0x5e, 0x3c, 0x99, 0xff},
	color.RGBA{0x66, 0x66, 0x66, 0xff}, color.RGBA{0xb2, 0x18, 0x2b, 0xff}, color.RGBA{0x1b, 0x78, 0x37, 0xff}, color.RGBA{0x00, 0x00, 0x00, 0xff},
}

// style gives managers their colours over all results, so that each looks the same everywhere, bare or guarded.
func style(r *compare.Results) map[string]color.Color {
	out := map[string]color.Color{}
	for _, row := range r.Rows {
		if _, there := out[row.Manager]; !there {
			out[row.Manager] = colours[len(out)%len(colours)]
		}
	}
	return out
}

func name(row *compare.Row) string {
	if row.Guarded {
		return "guard(" + row.Manager + ")"
	}
	return row.Manager
}

// glyph is a square for what is guarded.
func glyph(c color.Color, guarded bool) draw.GlyphStyle {
	g := draw.GlyphStyle{Color: c, Radius: vg.Points(4), Shape: draw.CircleGlyph{}}
	if guarded {
		g.Shape = draw.BoxGlyph{}
	}
	return g
}

// spending draws cores against violations, a panel for each load.
func spending(r *compare.Results, groups [][]*compare.Row) ([]byte, error) {
	styles := style(r)
	panels := make([]*plot.Plot, len(groups))
	legend := newLegend()
	seen := map[string]bool{}
	for i, rows := range groups {
		p := newPlot(rows[0].Load, "cores held", "windows in violation, %")
		p.Y.Min, p.Y.Max = 0, 1
		for _, row := range rows {
			if row.Cores == nil || row.Violations == nil {
				continue
			}
			g := glyph(styles[row.Manager], row.Guarded)
			if err := point(p, row, g); err != nil {
				return nil, err
			}
			if !seen[name(row)] {
				seen[name(row)] = true
				legend.Add(name(row), thumb{g})
			}
		}
		logarithmic(&p.X)
		p.Y.Max = math.Min(math.Max(p.Y.Max*1.08, r.Violations*200), 108)
		limit := plotter.NewFunction(func(float64) float64 { return r.Violations * 100 })
		limit.LineStyle = dashed()
		p.Add(limit)
		panels[i] = p
	}
	return tiles([][]*plot.Plot{panels}, legend, len(seen), vg.Points(float64(310*len(groups)+180)), vg.Points(330))
}

// point draws a row with its intervals.
func point(p *plot.Plot, row *compare.Row, g draw.GlyphStyle) error {
	at := bars{{X: *row.Cores, Y: *row.Violations * 100}}
	s, err := plotter.NewScatter(at)
	if err != nil {
		return err
	}
	s.GlyphStyle = g
	p.Add(s)
	if row.CoresCI == nil || row.ViolationsCI == nil {
		return nil
	}
	e := errorBars{at, *row.CoresCI, *row.ViolationsCI * 100}
	x, err := plotter.NewXErrorBars(e)
	if err != nil {
		return err
	}
	y, err := plotter.NewYErrorBars(e)
	if err != nil {
		return err
	}
	x.Color, y.Color = g.Color, g.Color
	p.Add(x, y)
	return nil
}

type bars = plotter.XYs

// errorBars is a point with half the widths of its intervals.
type errorBars struct {
	plotter.XYs
	x, y float64
}

// XError is the interval of cores, which stays above nothing, as the axis does.
func (e errorBars) XError(int) (float64, float64) { return math.Min(e.x, e.XYs[0].X*0.9), e.x }

// YError is the interval of violations, within 0 to 100 %.
func (e errorBars) YError(int) (float64, float64) {
	return math.Min(e.y, e.XYs[0].Y), math.Min(e.y, 100-e.XYs[0].Y)
}

// overTime draws the cores and the worst latency of each manager's run with the first seed; nil where nothing over time
// is kept.
func overTime(r *compare.Results, rows []*compare.Row) ([]byte, error) {
	styles := style(r)
	endpoint, percentile, limit := shown(rows)
	cores := newPlot(fmt.Sprintf("%s, %s, seed %d", rows[0].Application, rows[0].Load, r.Seeds[0]), "", "cores held")
	latency := newPlot("", "minutes", fmt.Sprintf("p%g of %s, ms", percentile, endpoint))
	legend := newLegend()
	drawn := 0
	for _, row := range rows {
		o := find(r, row, r.Seeds[0])
		if o == nil || o.Series == nil {
			continue
		}
		drawn++
		line := draw.LineStyle{Color: styles[row.Manager], Width: vg.Points(1.2)}
		if row.Guarded {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
		}
		legend.Add(name(row), &plotter.Line{LineStyle: line})
		if err := lines(cores, o.Series, o.Series.Cores, line); err != nil {
			return nil, err
		}
		for _, e := range o.Series.Endpoints {
			if e.Endpoint != endpoint {
				continue
			}
			if err := lines(latency, o.Series, e.Latency, line); err != nil {
				return nil, err
			}
		}
	}
	if drawn == 0 {
		return nil, nil
	}
	if limit > 0 {
		latency.Y.Max = math.Max(latency.Y.Max, limit)
		f := plotter.NewFunction(func(float64) float64 { return limit })
		f.LineStyle = dashed()
		latency.Add(f)
	}
	logarithmic(&cores.Y)
	logarithmic(&latency.Y)
	return tiles([][]*plot.Plot{{cores}, {latency}}, legend, drawn, vg.Points(900), vg.Points(520))
}

// shown is the endpoint that latency is drawn of: the worst of the row that is worst off, and its objective in ms.
func shown(rows []*compare.Row) (endpoint string, percentile, objective float64) {
	worst := -1.0
	for _, row := range rows {
		if row.Violations != nil && *row.Violations > worst {
			worst, endpoint, percentile, objective = *row.Violations, row.Endpoint, *row.Percentile, *row.Objective
		}
	}
	return endpoint, percentile, objective
}

// find is a row's run with a seed; nil where there is none.
func find(r *compare.Results, row *compare.Row, seed uint64) *compare.Outcome {
	for _, o := range r.Runs {
		if o.Application == row.Application && o.Load == row.Load && o.Manager == row.Manager && o.Inputs.Guarded == row.Guarded && o.Inputs.Seed == seed {
			return o
		}
	}
	return nil
}

// lines draws a series, with gaps where there is no value.
func lines(p *plot.Plot, s *compare.Series, v compare.Points, l draw.LineStyle) error {
	var run plotter.XYs
	flush := func() error {
		if len(run) < 2 {
			run = nil
			return nil
		}
		line, err := plotter.NewLine(run)
		if err != nil {
			return err
		}
		line.LineStyle, run = l, nil
		p.Add(line)
		return nil
	}
	for i, y := range v {
		if math.IsNaN(y) || y <= 0 { // the scale is logarithmic
			if err := flush(); err != nil {
				return err
			}
			continue
		}
		run = append(run, plotter.XY{X: (float64(i) + 0.5) * s.Step / 60, Y: y})
	}
	return flush()
}

// logarithmic makes an axis one of factors: what managers hold, and how late requests are, differs by those. An axis of
// nothing stays as it is.
func logarithmic(a *plot.Axis) {
	if a.Min <= 0 || math.IsInf(a.Min, 0) || math.IsInf(a.Max, 0) {
		return
	}
	a.Min, a.Max = a.Min*0.85, a.Max*1.2
	a.Scale, a.Tick.Marker = plot.LogScale{}, factors{}
}

// factors are ticks at 1, 2 and 5 times the powers of ten, at powers of ten alone where that would be too many.
type factors struct{}

// Ticks is for a plot.Axis.
func (factors) Ticks(low, high float64) (ticks []plot.Tick) {
	steps := []float64{1, 2, 5}
	if math.Log10(high/low) > 2.5 {
		steps = steps[:1]
	}
	for e := math.Floor(math.Log10(low)); e <= math.Log10(high); e++ {
		for _, f := range steps {
			if v := f * math.Pow(10, e); v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 4, 64)})
			}
		}
	}
	return ticks
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(6)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe4}, color.Gray{0xe4}
	p.Add(grid)
	return p
}

func newLegend() plot.Legend {
	l := plot.NewLegend()
	l.Top, l.Left = true, true
	l.Padding = vg.Points(3)
	return l
}

func dashed() draw.LineStyle {
	return draw.LineStyle{Color: color.RGBA{0xc0, 0x1c, 0x28, 0xff}, Width: vg.Points(1), Dashes: []vg.Length{vg.Points(5), vg.Points(3)}}
}

// thumb is a glyph in a legend.
type thumb struct{ draw.GlyphStyle }

// Thumbnail draws it in the middle.
func (t thumb) Thumbnail(c *draw.Canvas) { c.DrawGlyph(t.GlyphStyle, c.Center()) }

// tiles draws panels with a legend of so many entries at their right, at least as high as asked for.
func tiles(panels [][]*plot.Plot, legend plot.Legend, entries int, w, h vg.Length) ([]byte, error) {
	h = max(h, vg.Points(float64(40+16*entries)))
	img := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(110), vgimg.UseBackgroundColor(color.White))
	all := draw.New(img)
	pad := vg.Points(8)
	margin := vg.Points(170)
	left := draw.Crop(all, pad, -margin, pad, -pad)
	t := draw.Tiles{Rows: len(panels), Cols: len(panels[0]), PadX: vg.Points(14), PadY: vg.Points(10)}
	for y, row := range plot.Align(panels, t, left) {
		for x, c := range row {
			if panels[y][x] != nil {
				panels[y][x].Draw(c)
			}
		}
	}
	legend.Draw(draw.Crop(all, w-margin+vg.Points(10), 0, 0, -vg.Points(24)))
	var b bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: img}).WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
