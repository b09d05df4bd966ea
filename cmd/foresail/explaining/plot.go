package explaining

import (
	"bytes"
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

// Colours of what makes it worse and of what makes it better, also for most people who see fewer colours.
var (
	worse  = color.RGBA{0xd5, 0x5e, 0x00, 0xff}
	better = color.RGBA{0x00, 0x72, 0xb2, 0xff}
)

// picture draws the rows that matter most as bars: contributions to p99 on the left, to the log odds on the right.
func (d *Detail) picture(rows []Row, top int) ([]byte, error) {
	shown, _ := most(rows, top)
	slices.Reverse(shown) // bars are drawn from the bottom up
	names := make([]string, len(shown))
	var p99, odds plotter.Values
	for i, r := range shown {
		names[i] = name(r.Service) + " " + r.Channel
		p99, odds = append(p99, r.P99), append(odds, r.LogOdds)
	}
	left, err := bars(fmt.Sprintf("%s at %s: p99 %.0f ms", d.Application, stamp(d.At), d.Predicted.P99), "ms of p99", p99)
	if err != nil {
		return nil, err
	}
	left.NominalY(names...)
	right, err := bars(fmt.Sprintf("violation: %.1f %%", 100*d.Predicted.Violation), "log odds of a violation", odds)
	if err != nil {
		return nil, err
	}
	right.NominalY(make([]string, len(names))...)
	img := vgimg.New(10*vg.Inch, vg.Points(float64(90+18*len(shown))))
	tiles := plot.Align([][]*plot.Plot{{left, right}}, draw.Tiles{Rows: 1, Cols: 2, PadX: vg.Points(12), PadTop: vg.Points(6), PadBottom: vg.Points(6), PadLeft: vg.Points(6), PadRight: vg.Points(12)}, draw.New(img))
	left.Draw(tiles[0][0])
	right.Draw(tiles[0][1])
	var b bytes.Buffer
	_, err = vgimg.PngCanvas{Canvas: img}.WriteTo(&b)
	return b.Bytes(), err
}

// bars is a plot with a bar for each value, those above zero in another colour than those below.
func bars(title, label string, values plotter.Values) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = title, label
	up, down := make(plotter.Values, len(values)), make(plotter.Values, len(values))
	for i, v := range values {
		up[i], down[i] = max(v, 0), min(v, 0)
	}
	for _, part := range []struct {
		v plotter.Values
		c color.Color
	}{{up, worse}, {down, better}} {
		b, err := plotter.NewBarChart(part.v, vg.Points(11))
		if err != nil {
			return nil, err
		}
		b.Horizontal, b.Color, b.LineStyle.Width = true, part.c, 0
		p.Add(b)
	}
	return p, nil
}
