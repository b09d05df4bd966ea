package callgraphs

import (
	"fmt"
	"io"
	"strings"
	"time"

	"foresail.dev/cmd/foresail/cli"
)

// mostTrees is how many call graphs of an endpoint are printed; --json has all of them.
const mostTrees = 5

// mostLines is how much of one call graph is printed; --json has all of it.
const mostLines = 40

const legend = "Below each service is what it calls: what has the same number goes on side by side, the next number when all of that has\nanswered. 3× is three times in a row; ~ is what nobody waits for."

// Print shows call graphs to people.
func (d *Detail) Print(w io.Writer) error {
	for _, e := range d.Endpoints {
		fmt.Fprintf(w, "%s: %.0f requests, p50 %s ms, p99 %s ms", printable(e.Endpoint), e.Requests, cli.Opt("%.2f", e.P50), cli.Opt("%.2f", e.P99))
		if e.Objective != nil {
			fmt.Fprintf(w, ", objective p%g %g ms", *e.Percentile, *e.Objective)
		}
		fmt.Fprint(w, "\n\n")
		head := []string{"shape", "share %", "requests", "services", "calls", "p50 ms", "p99 ms"}
		cells := [][]string{}
		for _, s := range e.Shapes {
			cells = append(cells, []string{s.Row.Shape, fmt.Sprintf("%.2f", 100*s.Share), fmt.Sprintf("%.0f", s.Requests), fmt.Sprint(s.Services), fmt.Sprintf("%g", s.Calls),
				cli.Opt("%.2f", s.P50), cli.Opt("%.2f", s.P99)})
		}
		if err := cli.Table(w, head, cells); err != nil {
			return err
		}
		if e.PooledShare > 0 {
			fmt.Fprintf(w, "%.2f %% of these requests took other call graphs, too rare to be told: they are counted with the nearest.\n", 100*e.PooledShare)
		}
		for i, s := range e.Shapes {
			if i == mostTrees {
				fmt.Fprintf(w, "\n… and %d more, which --json has\n", len(e.Shapes)-i)
				break
			}
			fmt.Fprintf(w, "\n%s  %.2f %%\n", s.Row.Shape, 100*s.Share)
			tree(w, s.Visits)
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w, legend)
	return err
}

// tree prints a call graph, each visit below its parent.
func tree(w io.Writer, visits []Visit) {
	depth := make([]int, len(visits))
	for i, v := range visits {
		if i == mostLines {
			fmt.Fprintf(w, "  … and %d more\n", len(visits)-i)
			return
		}
		step := ""
		if v.Parent >= 0 {
			depth[i] = depth[v.Parent] + 1
			step = fmt.Sprint(v.Step+1, " ")
		}
		name := strings.TrimSpace(v.Service + " " + v.Operation)
		if v.Times > 1 {
			name = fmt.Sprintf("%d× %s", v.Times, name)
		}
		if v.Async {
			name = "~" + name
		}
		own := ""
		if v.OwnP50 != nil {
			own = fmt.Sprintf("  own p50 %.2f, p99 %.2f ms", *v.OwnP50, *v.OwnP99)
		}
		fmt.Fprintln(w, printable("  "+strings.Repeat("  ", min(depth[i], 40))+step+name+own))
	}
}

// PrintTail shows who makes up the slowest requests.
func (d *Detail) PrintTail(w io.Writer) error {
	for _, e := range d.Endpoints {
		if e.Tail == nil {
			fmt.Fprintf(w, "%s: %s\n\n", printable(e.Endpoint), e.NoTail)
			continue
		}
		t := e.Tail
		fmt.Fprintf(w, "%s: beyond p%g, %.2f ms (observed %s ms), a request takes %.2f ms on average, of which it waits for\n\n", printable(e.Endpoint), t.Percentile, t.At, cli.Opt("%.2f", t.Observed), t.Mean)
		cells := [][]string{}
		for _, s := range t.Services {
			cells = append(cells, []string{s.Service, fmt.Sprintf("%.2f", s.Own), fmt.Sprintf("%.1f", 100*s.Part), fmt.Sprintf("%.2f", s.All), fmt.Sprintf("%+.2f", s.Excess)})
		}
		if err := cli.Table(w, []string{"service", "ms", "% of it", "of all requests, ms", "more, ms"}, cells); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w, "Computed from the own times of visits, taken as independent of each other; of what goes on side by side the longest counts.")
	return err
}

// PrintShares shows shares over time: a row for each interval, a column for each shape of an endpoint.
func (s *Set) PrintShares(w io.Writer) error {
	all := s.endpoints()
	for i := range all {
		e := &all[i]
		head := []string{"from", "s", "requests"}
		for k := range e.shapes {
			head = append(head, e.shapes[k].Form.ID(s.App)+" %")
		}
		var cells [][]string
		for _, p := range s.intervals {
			of, total := s.of(e, &p)
			if !(total > 0) {
				continue
			}
			row := []string{p.start.UTC().Format(time.DateTime), fmt.Sprintf("%g", p.end.Sub(p.start).Seconds()), fmt.Sprintf("%.0f", total)}
			for k := range of {
				row = append(row, fmt.Sprintf("%.2f", 100*of[k]/total))
			}
			cells = append(cells, row)
		}
		fmt.Fprintf(w, "%s\n\n", printable(e.name))
		if err := cli.Table(w, head, cells); err != nil {
			return err
		}
		for k := range e.shapes {
			fmt.Fprintf(w, "%s  %s\n", e.shapes[k].Form.ID(s.App), shorten(printable(e.shapes[k].Form.Path(s.App, false))))
		}
		fmt.Fprintln(w)
	}
	return nil
}

// mostPath is how much of a call graph is printed in one line, in characters.
const mostPath = 110

func shorten(s string) string {
	if r := []rune(s); len(r) > mostPath {
		return string(r[:mostPath-1]) + "…"
	}
	return s
}

func printable(s string) string { return strings.Map(cli.Printable, s) }

func printNotes(w io.Writer, notes []string) error {
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, printable(n)); err != nil {
			return err
		}
	}
	return nil
}
