package explaining

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"foresail.dev/cmd/foresail/cli"
)

// print writes an explanation for a person, with so many drivers.
func (d *Detail) print(w io.Writer, rows []Row, top int) error {
	fmt.Fprintf(w, "%s at %s, %s\n\n", printable(d.Application), stamp(d.At), d.Model)
	fmt.Fprintf(w, "predicted for the next second: %s\n", d.Predicted)
	if o := d.Observed; o != nil {
		said := "observed then: p99 " + cli.Opt("%.1f ms", o.P99)
		if o.Violated != nil {
			said += "; " + map[bool]string{true: "an objective was missed in the four seconds after it", false: "no violation in the four seconds after it"}[*o.Violated]
		}
		fmt.Fprintln(w, said)
	}
	for _, o := range d.Outside {
		fmt.Fprintf(w, "outside of what the model was trained on: %s\n", printable(o))
	}
	fmt.Fprintf(w, "\nWhat drove it, from what is predicted where all is as usual (p99 %.1f ms, log odds of a violation %.2f):\n\n", d.Base.P99, d.Base.LogOdds)
	shown, rest := most(rows, top)
	var cells [][]string
	for _, r := range shown {
		cells = append(cells, []string{name(r.Service), r.Channel, opt(r.Now) + unit(r.Unit), opt(r.Usual), signed(r.P99, 1), signed(r.LogOdds, 2)})
	}
	if n := len(rows) - len(shown); n > 0 {
		cells = append(cells, []string{fmt.Sprintf("%d others", n), "", "", "", signed(rest.P99, 1), signed(rest.LogOdds, 2)})
	}
	if err := cli.Table(w, []string{"service", "resource", "now", "usual", "p99 ms", "log odds"}, cells); err != nil {
		return err
	}
	if len(d.Decided) == 0 {
		_, err := fmt.Fprintln(w, "\nNothing was changed at this moment, or what followed was not recorded.")
		return err
	}
	fmt.Fprintf(w, "\nWhat was changed at this moment, and what each change was predicted to do; all as it was: %s\n\n", d.Held)
	cells = nil
	for _, c := range d.Decided {
		cells = append(cells, []string{c.Service, number(c.From), number(c.To), signed(c.P99, 1), signed(100*c.Violation, 2)})
	}
	return cli.Table(w, []string{"service", "cores before", "cores after", "p99 ms", "violation %"}, cells)
}

// String reads like "p90 21, p95 30, p98 52, p99 80, p99.9 121 ms; violation in the four seconds after it 3.1 %; 12.4 cores".
func (p Predicted) String() string {
	return fmt.Sprintf("p90 %s, p95 %s, p98 %s, p99 %s, p99.9 %s ms; violation in the four seconds after it %.1f %%; %.4g cores",
		number(p.P90), number(p.P95), number(p.P98), number(p.P99), number(p.P999), 100*p.Violation, p.Cores)
}

// String says which model it is.
func (a About) String() string {
	s := "model " + printable(a.File)
	if a.Rows > 0 {
		s += fmt.Sprintf(", trained on %d rows", a.Rows)
	}
	return s + fmt.Sprintf(", p99 off by %.1f ms on validation data", a.Margin)
}

// most are the rows that matter most, for p99 or for the odds; the others' sum is rest.
func most(rows []Row, n int) (shown []Row, rest Row) {
	var p99, odds float64
	for _, r := range rows {
		p99, odds = max(p99, math.Abs(r.P99)), max(odds, math.Abs(r.LogOdds))
	}
	weight := func(r Row) float64 { return math.Abs(r.P99)/max(p99, 1e-9) + math.Abs(r.LogOdds)/max(odds, 1e-9) }
	shown = slices.Clone(rows)
	slices.SortStableFunc(shown, func(a, b Row) int {
		switch wa, wb := weight(a), weight(b); {
		case wa > wb:
			return -1
		case wa < wb:
			return 1
		}
		return 0
	})
	if n <= 0 || n > len(shown) {
		n = len(shown)
	}
	for _, r := range shown[n:] {
		rest.P99, rest.LogOdds = rest.P99+r.P99, rest.LogOdds+r.LogOdds
	}
	return shown[:n], rest
}

func name(service string) string {
	if service == "" {
		return "(all)"
	}
	return service
}

func opt(v *float64) string {
	if v == nil {
		return "—"
	}
	return number(*v)
}

func unit(u string) string {
	if u == "" || u == "share" {
		return ""
	}
	return " " + u
}

func signed(v float64, digits int) string {
	s := fmt.Sprintf("%+.*f", digits, v)
	if strings.Trim(s, "+-0.") == "" {
		return "0"
	}
	return s
}
