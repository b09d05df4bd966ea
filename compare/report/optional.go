package report

import (
	"slices"
	"strconv"

	"foresail.dev/compare"
)

// optional is a column that only tables have in which some row has a value.
type optional struct {
	head  string
	value func(*compare.Row) *float64
	text  func(*compare.Row) string
}

var optionals = []optional{
	{"recovery s", func(row *compare.Row) *float64 { return row.Recovery }, recovery},
	{"prediction off", func(row *compare.Row) *float64 { return row.PredictionError }, func(row *compare.Row) string { return number("%.1f %%", row.PredictionError, 100) }},
	{"within 10 %", func(row *compare.Row) *float64 { return row.PredictionWithin }, func(row *compare.Row) string { return number("%.0f %%", row.PredictionWithin, 100) }},
	{"at best", func(row *compare.Row) *float64 { return row.PredictionBest }, func(row *compare.Row) string { return number("%.0f %%", row.PredictionBest, 100) }},
	{"p95 off", func(row *compare.Row) *float64 { return row.PredictionError95 }, func(row *compare.Row) string { return number("%.1f %%", row.PredictionError95, 100) }},
	{"p95 within 10 %", func(row *compare.Row) *float64 { return row.PredictionWithin95 }, func(row *compare.Row) string { return number("%.0f %%", row.PredictionWithin95, 100) }},
}

// optionalOf are those that a table of rows has.
func optionalOf(rows []*compare.Row) (out []optional) {
	for _, o := range optionals {
		if slices.ContainsFunc(rows, func(row *compare.Row) bool { return o.value(row) != nil }) {
			out = append(out, o)
		}
	}
	return out
}

func (o *optional) cell(row *compare.Row) cell {
	c := cell{Text: o.text(row)}
	if v := o.value(row); v != nil {
		c.Sort = strconv.FormatFloat(*v, 'g', -1, 64)
	}
	return c
}

// recovery is how long a row took to recover from a surge; at least that, where it did not always.
func recovery(row *compare.Row) string {
	text := interval("%.1f", row.Recovery, row.RecoveryCI, 1)
	if row.Unrecovered != nil {
		text = "≥ " + text
	}
	return text
}
