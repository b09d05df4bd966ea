package forecasting

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

// Picture is loads and forecasts over time: observed ones first, forecasts from From on. NaN is not drawn.
type Picture struct {
	Title           string
	Start           time.Time
	Step            time.Duration
	Observed        []float64
	From            int // the step of the first forecast
	Mean, Low, High []float64
}

// PictureOf is the trail of a row.
func PictureOf(w Row) Picture {
	t := w.Trail
	p := Picture{Title: fmt.Sprintf("%s, %s, m %d", w.Series, w.Method, w.M), Start: t.Start, Step: t.Step, Mean: t.Mean, Low: t.Low, High: t.High}
	for _, v := range t.Observed {
		if v == nil {
			p.Observed = append(p.Observed, math.NaN())
		} else {
			p.Observed = append(p.Observed, *v)
		}
	}
	return p
}

// Text draws in so many columns at most, one step in each, the last ones: loads are *, forecasts are +, and : is within the 90 %
// interval.
func (p Picture) Text(columns, lines int) string {
	n := max(len(p.Observed), p.From+len(p.Mean))
	first := max(0, n-columns)
	top := 0.0
	value := func(v []float64, i int) float64 {
		if i < 0 || i >= len(v) {
			return math.NaN()
		}
		return v[i]
	}
	for i := first; i < n; i++ {
		for _, v := range []float64{value(p.Observed, i), value(p.High, i-p.From), value(p.Mean, i-p.From)} {
			if v > top {
				top = v
			}
		}
	}
	if top == 0 {
		top = 1
	}
	line := func(v float64) int { // from the bottom; -1: none
		if math.IsNaN(v) {
			return -1
		}
		return int(math.Round(v / top * float64(lines-1)))
	}
	cells := make([][]rune, lines)
	for i := range cells {
		cells[i] = []rune(strings.Repeat(" ", n-first))
	}
	for i := first; i < n; i++ {
		k := i - p.From
		if low, high := line(value(p.Low, k)), line(value(p.High, k)); low >= 0 && high >= 0 {
			for y := low; y <= high; y++ {
				cells[y][i-first] = ':'
			}
		}
		if y := line(value(p.Mean, k)); y >= 0 {
			cells[y][i-first] = '+'
		}
		if y := line(value(p.Observed, i)); y >= 0 {
			cells[y][i-first] = '*'
		}
	}
	var b strings.Builder
	for y := lines - 1; y >= 0; y-- {
		label := ""
		if y == lines-1 || y == 0 || y == (lines-1)/2 {
			label = fmt.Sprintf("%.4g", top*float64(y)/float64(lines-1))
		}
		fmt.Fprintf(&b, "%9s |%s\n", label, strings.TrimRight(string(cells[y]), " "))
	}
	from, to := p.Start.Add(time.Duration(first)*p.Step), p.Start.Add(time.Duration(n)*p.Step)
	fmt.Fprintf(&b, "%9s +%s\n%9s  %s to %s UTC; * load  + forecast  : 90 %% interval\n", "", strings.Repeat("-", n-first), "", clock(from), clock(to))
	return b.String()
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// PNG draws a picture.
func (p Picture) PNG() ([]byte, error) {
	q := plot.New()
	q.Title.Text = p.Title
	q.X.Label.Text = "minutes from " + clock(p.Start) + " UTC"
	q.Y.Label.Text = "load in each step"
	q.Y.Min = 0
	at := func(i int) float64 { return float64(i) * p.Step.Minutes() }
	var band plotter.XYs
	for k, v := range p.High {
		band = append(band, plotter.XY{X: at(p.From + k), Y: v})
	}
	for k := len(p.Low) - 1; k >= 0; k-- {
		band = append(band, plotter.XY{X: at(p.From + k), Y: p.Low[k]})
	}
	if len(p.High) > 1 {
		area, err := plotter.NewPolygon(band)
		if err != nil {
			return nil, err
		}
		area.Color, area.LineStyle.Width = color.RGBA{0xcc, 0xe3, 0xf0, 0xff}, 0
		q.Add(area)
		q.Legend.Add("90 % interval", area)
	}
	add := func(name string, from int, v []float64, c color.Color, width vg.Length) error {
		var xy plotter.XYs
		for k, y := range v {
			if !math.IsNaN(y) {
				xy = append(xy, plotter.XY{X: at(from + k), Y: y})
			}
		}
		if len(xy) == 0 {
			return nil
		}
		l, err := plotter.NewLine(xy)
		if err != nil {
			return err
		}
		l.Color, l.Width = c, width
		q.Add(l)
		q.Legend.Add(name, l)
		return nil
	}
	if err := add("load", 0, p.Observed, color.Black, vg.Points(0.8)); err != nil {
		return nil, err
	}
	if err := add("forecast", p.From, p.Mean, color.RGBA{0x00, 0x72, 0xb2, 0xff}, vg.Points(1.4)); err != nil {
		return nil, err
	}
	q.Legend.Top = true
	w, err := q.WriterTo(9*vg.Inch, 4*vg.Inch, "png")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	return b.Bytes(), err
}

// FileName is what a row's picture is called.
func FileName(w Row) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			return c
		}
		return '-'
	}, fmt.Sprintf("%s-%s-n%d-m%d.png", w.Series, w.Method, w.N, w.M))
}
