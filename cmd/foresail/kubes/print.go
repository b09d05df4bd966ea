package kubes

import (
	"fmt"
	"strings"

	"foresail.dev/cmd/foresail/cli"
)

// print says of each workload what it has and should have, what that saves in all, and what is about to break.
func print(o Options, rows []Row) error {
	if o.JSON {
		return cli.PrintJSON(o.out, cli.NewResult("kubernetes", nil, rows))
	}
	var table [][]string
	var has, should, saved float64
	known := 0
	for _, r := range rows {
		to, change := "—", "—"
		if r.ToCores != nil {
			to = fmt.Sprintf("%d × %.3g", *r.ToReplicas, *r.ToCPU)
			change = fmt.Sprintf("%+.2f", -r.Saved)
		}
		table = append(table, []string{r.Service, fmt.Sprintf("%d × %.3g", r.Replicas, r.CPU), cli.Opt("%.3g", r.UsedMean), cli.Opt("%.3g", r.UsedP95), to, change})
		has += r.Cores
		if r.UsedMean != nil {
			known++
		}
		should += r.Cores - r.Saved
		saved += r.Saved
	}
	if err := cli.Table(o.out, []string{"workload", "has, cores", "used", "p95", "should have", "change"}, table); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "\n%.2f cores are given, %.2f would do: %.2f saved (%.0f %%); the CPU of %d of %d workloads is observed\n",
		has, should, saved, 100*share(saved, has), known, len(rows))
	fmt.Fprintln(o.out, "\nwhy:")
	for _, r := range rows {
		fmt.Fprintf(o.out, "  %s: %s\n", r.Service, r.Reason)
	}
	dangerous := false
	for _, r := range rows {
		if len(r.Dangers) == 0 {
			continue
		}
		if !dangerous {
			fmt.Fprintln(o.out, "\nwhat may break:")
			dangerous = true
		}
		fmt.Fprintf(o.out, "  %s: %s\n", r.Service, strings.Join(r.Dangers, "; "))
	}
	return nil
}

func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}
