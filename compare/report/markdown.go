package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"foresail.dev/compare"
)

// Markdown is the results as a page of tables, one for each application and load. Bold are the fewest cores among the
// managers that keep the objectives, and the fewest violations, each where its paired intervals against all others lie
// apart from zero.
func Markdown(r *compare.Results, h Header) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", plain(r.Experiment))
	if r.Note != "" {
		fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(r.Note))
	}
	fmt.Fprintf(&b, "%s\n", method(r))
	if origin := h.origin(); origin != "" {
		fmt.Fprintf(&b, "\n%s\n", origin)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n**%s.**\n", plain(n))
	}
	for _, rows := range r.Groups() {
		fmt.Fprintf(&b, "\n## %s, %s\n\n", plain(rows[0].Application), plain(rows[0].Load))
		b.WriteString(markdownTable(r, rows))
	}
	if len(r.Tuned) > 0 {
		b.WriteString("\n## Settings found\n\n")
		b.WriteString(tunedTable(r.Tuned))
	}
	return b.String()
}

// method says in two sentences how the figures came about.
func method(r *compare.Results) string {
	seeds := fmt.Sprintf("%d seeds", len(r.Seeds))
	if len(r.Seeds) == 1 {
		seeds = "one seed"
	}
	warm := ""
	if r.Warmup > 0 {
		warm = fmt.Sprintf(" after a warm-up of %s, which is neither judged nor paid for", length(r.Warmup))
	}
	where := ""
	if r.Cluster != "" {
		where = fmt.Sprintf(" on the %s, as real processes, one run at a time", r.Cluster)
	}
	return fmt.Sprintf("Means over %s with 95 %% intervals; each run lasts %s%s%s. "+
		"Violations are the share of judged windows in which the worst endpoint missed its objective; up to %s counts as keeping it. "+
		"Cores against %s are differences seed by seed.", seeds, length(r.Duration), warm, where, percent(r.Violations), plain(r.Reference))
}

func (h Header) origin() string {
	switch {
	case h.Commit != "" && h.Machine != "":
		return fmt.Sprintf("Made by %s on %s.", h.Commit, h.Machine)
	case h.Machine != "":
		return fmt.Sprintf("Made on %s.", h.Machine)
	}
	return ""
}

// length is a duration for people: "1h" rather than "1h0m0s".
func length(seconds float64) string {
	s := (time.Duration(seconds * float64(time.Second))).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var columns = []string{"manager", "guarded", "cores", "against reference", "violations", "episodes", "worst endpoint", "p95 ms", "p99 ms", "objective", "replicas", "changes", "of replicas", "decision p99 ms"}

func markdownTable(r *compare.Results, rows []*compare.Row) string {
	var b strings.Builder
	more := optionalOf(rows)
	head := slices.Clip(columns)
	for i := range more {
		head = append(head, more[i].head)
	}
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(head, " | "), "---|---|"+strings.Repeat("---:|", len(head)-2))
	cheapest, calmest := r.Cheapest(rows), r.Calmest(rows)
	var below []string
	for _, row := range rows {
		guarded := ""
		if row.Guarded {
			guarded = "yes"
		}
		cells := []string{plain(row.Manager), guarded, bold(row == cheapest, interval("%.2f", row.Cores, row.CoresCI, 1)), against(r, row),
			bold(row == calmest, interval("%.2f %%", row.Violations, row.ViolationsCI, 100)), number("%.1f", row.Episodes, 1),
			dash(plain(row.Endpoint)), number("%.1f", row.P95, 1), number("%.1f", row.P99, 1), objective(row), number("%.1f", row.Replicas, 1),
			number("%.0f", row.PlanChanges, 1), number("%.0f", row.ScalingActions, 1), number("%.2f", row.DecisionP99, 1)}
		for i := range more {
			cells = append(cells, more[i].text(row))
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		below = append(below, remarks(row)...)
	}
	for _, s := range below {
		fmt.Fprintf(&b, "\n- %s", plain(s))
	}
	if len(below) > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// remarks say what figures don't: runs that failed, decisions that another took.
func remarks(row *compare.Row) (out []string) {
	who := name(row)
	if row.Failed > 0 {
		out = append(out, fmt.Sprintf("%s: %d of %d runs failed: %s", who, row.Failed, row.Failed+row.Seeds, row.Failure))
	}
	if row.Fallbacks != nil {
		out = append(out, fmt.Sprintf("%s: the baseline took %.1f decisions of a run: %s", who, *row.Fallbacks, row.Fallback))
	}
	if row.DecisionErrors != nil {
		out = append(out, fmt.Sprintf("%s: %.1f decisions of a run failed: %s", who, *row.DecisionErrors, row.DecisionError))
	}
	return out
}

// against is a row's cores against the reference's.
func against(r *compare.Results, row *compare.Row) string {
	for _, p := range r.Pairs {
		if p.Application == row.Application && p.Load == row.Load && p.Manager == row.Manager && p.Guarded == row.Guarded {
			s := fmt.Sprintf("%+.1f %%", p.CoresShare*100)
			if p.CoresCI != nil && p.Cores != 0 {
				s += fmt.Sprintf(" ± %.1f", *p.CoresCI*100*p.CoresShare/p.Cores)
			}
			return s
		}
	}
	return "—"
}

func objective(row *compare.Row) string {
	if row.Objective == nil || row.Percentile == nil {
		return "—"
	}
	return fmt.Sprintf("p%g < %g ms", *row.Percentile, *row.Objective)
}

func tunedTable(all []compare.Tuned) string {
	var b strings.Builder
	b.WriteString("| application | manager | guarded | trials | runs | settings | cores | violations | cores by default | violations by default |\n|---|---|---|---:|---:|---|---:|---:|---:|---:|\n")
	for _, t := range all {
		guarded := ""
		if t.Guarded {
			guarded = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %s | %s | %s | %s | %s |\n", plain(t.Application), plain(t.Manager), guarded, t.Trials, t.Runs, settings(t.Settings),
			number("%.2f", t.Cores, 1), number("%.2f %%", t.Violations, 100), number("%.2f", t.Default.Cores, 1), number("%.2f %%", t.Default.Violations, 100))
	}
	return b.String()
}

// settings reads like "target 0.62, tolerance 0.1"; "defaults" where nothing was changed.
func settings(s map[string]float64) string {
	if len(s) == 0 {
		return "defaults"
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s)) {
		out = append(out, fmt.Sprintf("%s %g", k, s[k]))
	}
	return strings.Join(out, ", ")
}

func percent(share float64) string { return fmt.Sprintf("%g %%", share*100) }

// number is a value times scale, "—" where there is none.
func number(form string, v *float64, scale float64) string {
	if v == nil {
		return "—"
	}
	return fmt.Sprintf(form, *v*scale)
}

// interval is a mean with half the width of its interval: "12.30 ± 0.21".
func interval(form string, v, half *float64, scale float64) string {
	if v == nil || half == nil {
		return number(form, v, scale)
	}
	digits, unit, _ := strings.Cut(form, " ")
	s := fmt.Sprintf(digits+" ± "+digits, *v*scale, *half*scale)
	if unit != "" {
		s += " " + strings.ReplaceAll(unit, "%%", "%")
	}
	return s
}

func bold(yes bool, s string) string {
	if yes {
		return "**" + s + "**"
	}
	return s
}

func dash(s string) string {
	if s == "" {
		return "—"
	}
	return s
}

// plain keeps text from outside from acting as Markdown or HTML.
func plain(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;", "*", "\\*", "`", "'").Replace(s)
}
