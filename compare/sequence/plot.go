package sequence

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

// colours of methods (Okabe and Ito), by their place in methodNames.
var colours = []color.Color{color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff}, color.RGBA{0x77, 0x77, 0x77, 0xff}}

// SVG draws a sequence: error over points, a picture for each step.
func (o *Outcome) SVG(sequence string) ([]byte, error) {
	c := o.File.config(sequence)
	columns := min(4, len(c.Steps))
	rows := (len(c.Steps) + columns - 1) / columns
	tiles := make([][]*plot.Plot, rows)
	for step := range rows * columns {
		var p *plot.Plot
		if step < len(c.Steps) {
			var err error
			if p, err = o.panel(c, step); err != nil {
				return nil, err
			}
		}
		tiles[step/columns] = append(tiles[step/columns], p)
	}
	width, height := vg.Length(columns)*3.2*vg.Inch, vg.Length(rows)*2.6*vg.Inch
	canvas := vgsvg.New(width, height)
	t := draw.Tiles{Rows: rows, Cols: columns, PadX: vg.Points(16), PadY: vg.Points(10), PadTop: vg.Points(8), PadRight: vg.Points(16), PadLeft: vg.Points(4), PadBottom: vg.Points(4)}
	for i, line := range plot.Align(tiles, t, draw.New(canvas)) {
		for k := range line {
			if tiles[i][k] != nil {
				tiles[i][k].Draw(line[k])
			}
		}
	}
	var b bytes.Buffer
	_, err := canvas.WriteTo(&b)
	return b.Bytes(), err
}

func (o *Outcome) panel(c *Config, step int) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%d. %s (%d)", step+1, c.Steps[step].Name, c.deployments[step].Count())
	p.Title.TextStyle.Font.Size = vg.Points(8)
	p.X.Label.Text, p.Y.Label.Text = "samples", "error, ms"
	var ticks []plot.Tick
	for _, n := range o.File.Points {
		ticks = append(ticks, plot.Tick{Value: math.Log(float64(n)), Label: fmt.Sprint(n)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min = 0
	for i, m := range methodNames {
		var xy plotter.XYs
		for _, n := range o.File.Points {
			if cell := o.cell(c.Name, step, m, n); cell != nil {
				xy = append(xy, plotter.XY{X: math.Log(float64(n)), Y: stat.Mean(cell.off(), nil)})
			}
		}
		if len(xy) == 0 {
			continue
		}
		l, marks, err := plotter.NewLinePoints(xy)
		if err != nil {
			return nil, err
		}
		l.Color, marks.Color, marks.Radius = colours[i], colours[i], vg.Points(1.5)
		p.Add(l, marks)
		if step == 0 || m == "monolith-kept" && step == 1 {
			p.Legend.Add(m, l)
		}
	}
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs = true, true, 1.4*vg.Inch // names grow to the right, whatever font a browser has
	p.Legend.Padding = vg.Points(2)
	p.Legend.TextStyle.Font.Size = vg.Points(7)
	p.Y.Min = 0
	return p, nil
}

// FileName is what a sequence's picture is called.
func (c *Config) FileName() string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, c.Name) + ".svg"
}
