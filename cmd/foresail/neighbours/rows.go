package neighbours

import (
	"slices"

	"foresail.dev/cmd/foresail/cli"
)

// rows count.
func rows(cases []Case, runs []Run) []Row {
	out := []Row{}
	for _, c := range cases {
		if slices.ContainsFunc(out, func(r Row) bool { return r.Neighbour == c.Neighbour && r.Beside == c.Beside }) {
			continue
		}
		row := Row{Neighbour: c.Neighbour, Beside: c.Beside}
		var slower []float64
		for _, r := range runs {
			if r.Neighbour != c.Neighbour || r.Beside != c.Beside {
				continue
			}
			row.Runs++
			slower = append(slower, r.Slower)
			located, named := r.right()
			if located {
				row.Located++
			}
			if named {
				row.Named++
			}
		}
		if len(slower) > 0 {
			row.Slower = cli.Round(middle(slower))
		}
		out = append(out, row)
	}
	return out
}

// right tells whether the service was located, and its resource named. Without a neighbour it is right that nothing is found.
func (r *Run) right() (located, named bool) {
	if r.Neighbour == None {
		quiet := !slices.ContainsFunc(r.Suspects, func(s Suspect) bool { return s.Resource != nil })
		return quiet, quiet
	}
	if len(r.Suspects) == 0 || r.Suspects[0].Service != r.Beside {
		return false, false
	}
	first := r.Suspects[0].Resource
	return true, first != nil && slices.Contains(kinds[r.Neighbour].names, *first)
}
