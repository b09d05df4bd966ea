package scenario

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Axis says how a plot is drawn.
type Axis struct {
	From, To      time.Duration // what the values are spread over, evenly
	Width, Height int           // of the field, in characters
	Show          func(float64) string
}

// Plot draws values over time as text: a title, Height lines and the axis. Where there are more values than columns, a
// column shows their largest; what is not a number is left empty. The field begins at 0, or at the least value where that
// is negative, and ends at the largest.
func Plot(title string, values []float64, a Axis) []string {
	columns := squeeze(values, a.Width)
	low, high := 0.0, 0.0
	for _, v := range columns {
		if !math.IsNaN(v) {
			low, high = math.Min(low, v), math.Max(high, v)
		}
	}
	top := high
	if high == low {
		high = low + 1
	}
	rows := make([][]byte, a.Height)
	for i := range rows {
		rows[i] = []byte(strings.Repeat(" ", a.Width))
	}
	for x, v := range columns {
		if !math.IsNaN(v) {
			y := int(math.Round((v - low) / (high - low) * float64(a.Height-1)))
			rows[a.Height-1-y][x] = '*'
		}
	}
	labels := make([]string, a.Height)
	if labels[a.Height-1] = a.Show(low); top > low {
		labels[0] = a.Show(top)
	}
	margin := max(len(labels[0]), len(labels[a.Height-1]))
	out := []string{fmt.Sprintf("%s, up to %s", title, a.Show(top))}
	for i, row := range rows {
		out = append(out, strings.TrimRight(fmt.Sprintf("%*s |%s", margin, labels[i], row), " "))
	}
	from, to := clock(a.From), clock(a.To)
	gap := max(a.Width-len(from)-len(to), 1)
	out = append(out, fmt.Sprintf("%*s +%s", margin, "", strings.Repeat("-", a.Width)),
		fmt.Sprintf("%*s  %s%s%s", margin, "", from, strings.Repeat(" ", gap), to))
	return out
}

// squeeze gives one value for each column.
func squeeze(values []float64, width int) []float64 {
	out := make([]float64, width)
	for x := range out {
		from := x * len(values) / width
		to := max((x+1)*len(values)/width, from+1)
		out[x] = math.NaN()
		for _, v := range values[min(from, len(values)):min(to, len(values))] {
			if math.IsNaN(out[x]) || v > out[x] {
				out[x] = v
			}
		}
	}
	return out
}
