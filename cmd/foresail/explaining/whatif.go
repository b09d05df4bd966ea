package explaining

import (
	"fmt"
	"io"
	"slices"

	"foresail.dev/cmd/foresail/cli"
)

// print writes an answer for a person.
func (w *whatIf) print(to io.Writer, m *moment, rows []Case) error {
	fmt.Fprintf(to, "%s at %s, %s\n", printable(w.Application), stamp(m.at), w.Model)
	for _, s := range w.Set {
		fmt.Fprintf(to, "%s: %d × %g cores instead of %d × %g\n", printable(s.Service), s.Replicas, s.CPU, s.ReplicasNow, s.CPUNow)
	}
	fmt.Fprintln(to)
	var cells [][]string
	for _, r := range rows {
		cells = append(cells, []string{r.Case, number(r.P90), number(r.P95), number(r.P98), number(r.P99), number(r.P999), fmt.Sprintf("%.2f", 100*r.Violation), number(r.Cores)})
	}
	if err := cli.Table(to, []string{"", "p90 ms", "p95 ms", "p98 ms", "p99 ms", "p99.9 ms", "violation %", "cores"}, cells); err != nil {
		return err
	}
	fmt.Fprintf(to, "\nLatencies are of the next second, violation is the probability that an objective is missed in the four seconds after it; p99 is off by %.1f ms.\n", w.Model.Margin)
	for _, o := range w.OutsideNow {
		fmt.Fprintf(to, "This moment lies outside of what the model was trained on: %s\n", printable(o))
	}
	for _, o := range w.Outside {
		if !slices.Contains(w.OutsideNow, o) {
			fmt.Fprintf(to, "The change is asked outside of what the model was trained on, and the answer may be wrong: %s\n", printable(o))
		}
	}
	return nil
}
