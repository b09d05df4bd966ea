package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"foresail.dev/compare"
)

var (
	//go:embed page/report.html
	pageText string
	//go:embed page/report.css
	pageStyle string
	//go:embed page/charts.js
	pageCharts string
	//go:embed page/report.js
	pageScript string

	pageTemplate = template.Must(template.New("report").Parse(pageText))
)

// page is what the template shows.
type page struct {
	Results  *compare.Results
	Method   string
	Origin   string
	Limit    string
	Columns  []section
	Overview []overviewRow
	Sections []section
	Tuned    [][]tunedCell
	Style    template.CSS
	Charts   template.JS
	Script   template.JS
	Data     template.HTML // base64 of packed JSON
}

// section is an application under a load.
type section struct {
	ID, Application, Load string
	Index                 int
	Head                  []heading
	Rows                  []tableRow
	Remarks               []string
}

type heading struct {
	Name string
	Text bool
}

type tableRow struct{ Cells []cell }

type cell struct {
	Text, Sub, Class string
	Sort             string
	Bar              float64 // percent of the column's widest
	Manager          string  // the first column's
	Group            int
}

type overviewRow struct {
	Manager string
	Cells   []overviewCell
}

type overviewCell struct{ Main, Sub, Class string }

type tunedCell struct {
	Value string
	Text  bool
}

// HTML is the results as one page that needs nothing else: it makes no request.
func HTML(r *compare.Results, h Header) ([]byte, error) {
	p := page{Results: r, Method: method(r), Origin: h.origin(), Limit: percent(r.Violations),
		Style: template.CSS(pageStyle), Charts: template.JS(pageCharts), Script: template.JS(pageScript)}
	for i, rows := range r.Groups() {
		p.Sections = append(p.Sections, newSection(r, rows, i))
	}
	p.Columns = p.Sections
	p.Overview = overview(r)
	for _, t := range r.Tuned {
		who := t.Manager
		if t.Guarded {
			who = "guard(" + who + ")"
		}
		p.Tuned = append(p.Tuned, []tunedCell{{t.Application, true}, {who, true}, {settings(t.Settings), true}, {strconv.Itoa(t.Trials), false}, {strconv.Itoa(t.Runs), false},
			{number("%.2f", t.Cores, 1), false}, {number("%.2f %%", t.Violations, 100), false},
			{number("%.2f", t.Default.Cores, 1), false}, {number("%.2f %%", t.Default.Violations, 100), false}})
	}
	data, err := pack(r)
	if err != nil {
		return nil, err
	}
	p.Data = template.HTML(data)
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// overview is a manager a row, an application and load a column.
func overview(r *compare.Results) []overviewRow {
	groups := r.Groups()
	var out []overviewRow
	for _, row := range r.Rows {
		if !slices.ContainsFunc(out, func(o overviewRow) bool { return o.Manager == name(row) }) {
			out = append(out, overviewRow{Manager: name(row), Cells: make([]overviewCell, len(groups))})
		}
	}
	for i, rows := range groups {
		best := r.Cheapest(rows)
		for k := range out {
			out[k].Cells[i] = overviewCell{Sub: "not run"}
			for _, row := range rows {
				if name(row) == out[k].Manager {
					out[k].Cells[i] = overviewOf(r, row, row == best)
				}
			}
		}
	}
	return out
}

func overviewOf(r *compare.Results, row *compare.Row, best bool) overviewCell {
	if row.Seeds == 0 {
		return overviewCell{Sub: "failed", Class: "bad"}
	}
	c := overviewCell{Main: number("%.2f", row.Cores, 1)}
	switch {
	case row.Violations == nil:
		c.Sub = "not judged"
	case !r.Keeps(row):
		c.Sub, c.Class = number("%.1f %% violated", row.Violations, 100), "bad"
	default:
		c.Sub = difference(r, row)
	}
	if best {
		c.Class = "good"
	}
	return c
}

// difference is a row's cores against the reference's, in percent alone.
func difference(r *compare.Results, row *compare.Row) string {
	if p := pairOf(r, row); p != nil {
		return fmt.Sprintf("%+.0f %%", p.CoresShare*100)
	}
	return "reference"
}

func pairOf(r *compare.Results, row *compare.Row) *compare.Pair {
	i := slices.IndexFunc(r.Pairs, func(p compare.Pair) bool {
		return p.Application == row.Application && p.Load == row.Load && p.Manager == row.Manager && p.Guarded == row.Guarded
	})
	if i < 0 {
		return nil
	}
	return &r.Pairs[i]
}

var heads = []heading{{"manager", true}, {"cores held", false}, {"against reference", false}, {"in violation", false}, {"episodes", false},
	{"p99 ms", false}, {"replicas", false}, {"changes", false}, {"decision ms", false}, {"worst endpoint", true}}

func newSection(r *compare.Results, rows []*compare.Row, index int) section {
	s := section{ID: fmt.Sprintf("g%d", index), Application: rows[0].Application, Load: rows[0].Load, Index: index}
	more := optionalOf(rows)
	s.Head = slices.Clip(heads)
	for i := range more {
		s.Head = append(s.Head, heading{more[i].head, false})
	}
	best, calm := r.Cheapest(rows), r.Calmest(rows)
	widest := func(of func(*compare.Row) *float64) float64 {
		var all []float64
		for _, row := range rows {
			if v := of(row); v != nil {
				all = append(all, *v)
			}
		}
		if len(all) == 0 {
			return 0
		}
		slices.Sort(all)
		// What holds many times what most do must not make the bars of the others vanish: its own is cut.
		widest := all[len(all)-1]
		if usual := 4 * all[len(all)/2]; usual > 0 {
			for i := len(all) - 1; i > 0 && widest > usual; i-- {
				widest = all[i-1]
			}
		}
		return widest
	}
	cores := widest(func(row *compare.Row) *float64 { return row.Cores })
	late := widest(func(row *compare.Row) *float64 { return row.Violations })
	for _, row := range rows {
		t := tableRow{[]cell{
			{Manager: name(row), Sort: name(row), Group: index},
			value("%.2f", row.Cores, row.CoresCI, 1).bar(row.Cores, cores).mark(row == best, "best"),
			difference2(r, row),
			value("%.2f %%", row.Violations, row.ViolationsCI, 100).bar(row.Violations, late).mark(row == calm, "best").mark(row.Violations != nil && !r.Keeps(row), "over"),
			value("%.1f", row.Episodes, nil, 1),
			value("%.1f", row.P99, nil, 1).sub(row.Objective, "of %g").mark(row.P99 != nil && *row.Percentile == 99 && *row.P99 > *row.Objective, "over"),
			value("%.1f", row.Replicas, nil, 1),
			value("%.0f", row.PlanChanges, nil, 1),
			value("%.2f", row.DecisionP99, nil, 1),
			{Text: dash(row.Endpoint), Sort: row.Endpoint, Class: "text"},
		}}
		for i := range more {
			t.Cells = append(t.Cells, more[i].cell(row))
		}
		s.Rows = append(s.Rows, t)
		s.Remarks = append(s.Remarks, remarks(row)...)
	}
	return s
}

// value is a number's cell, with half the width of its interval where there is one.
func value(form string, v, half *float64, scale float64) cell {
	c := cell{Text: number(form, v, scale)}
	if v != nil {
		c.Sort = strconv.FormatFloat(*v, 'g', -1, 64)
		if half != nil {
			digits, _, _ := strings.Cut(form, " ")
			c.Sub = "± " + number(digits, half, scale)
		}
	}
	return c
}

// bar draws a value against the widest of its column.
func (c cell) bar(v *float64, widest float64) cell {
	if v != nil && widest > 0 {
		c.Bar = math.Min(math.Round(*v/widest*1000)/10, 100)
		c.Class += " bar"
	}
	return c
}

// sub adds a second figure.
func (c cell) sub(v *float64, form string) cell {
	if v != nil {
		c.Sub = fmt.Sprintf(form, *v)
	}
	return c
}

func (c cell) mark(yes bool, class string) cell {
	if yes {
		c.Class += " " + class
	}
	return c
}

// difference2 is a row's cores against the reference's, with the interval.
func difference2(r *compare.Results, row *compare.Row) cell {
	p := pairOf(r, row)
	if p == nil {
		return cell{Text: "reference", Sort: "0"}
	}
	c := cell{Text: fmt.Sprintf("%+.1f %%", p.CoresShare*100), Sort: strconv.FormatFloat(p.CoresShare, 'g', -1, 64)}
	if p.CoresCI != nil && p.Cores != 0 {
		c.Sub = fmt.Sprintf("± %.1f", *p.CoresCI*100*math.Abs(p.CoresShare/p.Cores))
	}
	return c
}
