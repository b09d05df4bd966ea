package report

import "foresail.dev/compare"

// Text is the rows of one application and load as a table for a terminal, with lines to follow it. "*" marks what
// Markdown prints in bold.
func Text(r *compare.Results, rows []*compare.Row) (head []string, cells [][]string, below []string) {
	head = []string{"manager", "cores", "against reference", "violations", "episodes", "p99 ms", "objective", "replicas", "changes"}
	more := optionalOf(rows)
	for i := range more {
		head = append(head, more[i].head)
	}
	cheapest, calmest := r.Cheapest(rows), r.Calmest(rows)
	star := map[bool]string{true: "*"}
	for _, row := range rows {
		cells = append(cells, []string{name(row), star[row == cheapest] + interval("%.2f", row.Cores, row.CoresCI, 1), against(r, row),
			star[row == calmest] + interval("%.2f %%", row.Violations, row.ViolationsCI, 100), number("%.1f", row.Episodes, 1),
			number("%.1f", row.P99, 1), objective(row), number("%.1f", row.Replicas, 1), number("%.0f", row.PlanChanges, 1)})
		for i := range more {
			cells[len(cells)-1] = append(cells[len(cells)-1], more[i].text(row))
		}
		below = append(below, remarks(row)...)
	}
	return head, cells, below
}
