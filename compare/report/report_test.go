package report_test

import (
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foresail.dev/compare"
	"foresail.dev/compare/report"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// kept are small runs that lie in testdata, so that what the simulator and the managers do today changes nothing here:
// two loads, two seeds, three managers of which hpa is both bare and guarded. "-rewrite-runs" makes them anew.
var rewriteRuns = flag.Bool("rewrite-runs", false, "make the kept runs anew")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}

func show(t testing.TB) *compare.Results {
	t.Helper()
	r, err := compare.Show("testdata/kept")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRewriteRuns(t *testing.T) {
	if !*rewriteRuns {
		t.Skip("only with -rewrite-runs")
	}
	e, err := compare.Read("testdata/kept.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g, err := compare.Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll("testdata/kept"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Run(t.Context(), compare.Options{Dir: "testdata/kept", Program: "golden"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove("testdata/kept/lock"); err != nil {
		t.Fatal(err)
	}
}

func TestMarkdown(t *testing.T) {
	got := report.Markdown(show(t), report.Header{Commit: "0123456789ab", Machine: "linux/amd64, 2 processors"})
	golden(t, "testdata/kept.md", got)
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s\n(go test -rewrite writes it anew)", path, got, want)
	}
}

// The table for a terminal says the same.
func TestText(t *testing.T) {
	r := show(t)
	for _, rows := range r.Groups() {
		head, cells, _ := report.Text(r, rows)
		stars := 0
		for i, c := range cells {
			if len(c) != len(head) || !strings.Contains(c[0], rows[i].Manager) {
				t.Errorf("%q under %q", c, head)
			}
			stars += strings.Count(strings.Join(c, ""), "*")
		}
		if stars > 2 {
			t.Errorf("%d best ones: %q", stars, cells)
		}
	}
}

// Names and reasons come from outside: they are text, whatever they hold.
func TestHostileNames(t *testing.T) {
	r := show(t)
	const bad = "a|b <script>alert(1)</script>\n**x**"
	r.Experiment, r.Notes = bad, []string{bad}
	r.Rows[0].Manager, r.Rows[0].Failed, r.Rows[0].Failure = bad, 1, bad
	page, err := report.HTML(r, report.Header{})
	if err != nil {
		t.Fatal(err)
	}
	md := report.Markdown(r, report.Header{})
	if strings.Contains(string(page), "<script>alert") || strings.Contains(md, "<script>") {
		t.Error("a name became part of the page")
	}
	for _, line := range strings.Split(md, "\n") {
		if strings.HasPrefix(line, "| a") && strings.Count(line, "|")-strings.Count(line, `\|`) != 15 {
			t.Errorf("a name made columns: %s", line)
		}
	}
}

// Every plot is a picture of some size, and has a name of its own.
func TestPlots(t *testing.T) {
	plots, err := report.Plots(show(t))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, p := range plots {
		img, err := png.Decode(strings.NewReader(string(p.PNG)))
		if err != nil || img.Bounds().Dx() < 500 || names[p.Name] {
			t.Errorf("%s: %v", p.Name, err)
		}
		names[p.Name] = true
	}
	if !names["online-boutique.png"] || !names["online-boutique-ramp.png"] || len(names) != 3 {
		t.Errorf("plots: %v", names)
	}
}

// A run over time is a picture, as a whole and service by service; one of which nothing is kept says so.
func TestRunPlots(t *testing.T) {
	for _, o := range show(t).Runs {
		for _, draw := range []func(*compare.Outcome) (report.Plot, error){report.RunPlot, report.ServicesPlot} {
			p, err := draw(o)
			if err != nil {
				t.Fatal(err)
			}
			if img, err := png.Decode(strings.NewReader(string(p.PNG))); err != nil || img.Bounds().Dx() < 500 {
				t.Errorf("%s: %v", p.Name, err)
			}
			bare := *o
			bare.Series = nil
			if _, err := draw(&bare); err == nil || !strings.Contains(err.Error(), "nothing over time is kept") {
				t.Error(err)
			}
		}
	}
}

// How long recovery took has a column where a load has spikes, and only there; where it did not always recover, it is at least that.
func TestRecoveryHasAColumn(t *testing.T) {
	r := show(t)
	if strings.Contains(report.Markdown(r, report.Header{}), "recovery") {
		t.Error("a column though nothing spikes")
	}
	for i, row := range r.Groups()[1] {
		took, half, lost := 12.5, 1.5, 0.2
		row.Recovery, row.RecoveryCI = &took, &half
		if i == 0 {
			row.Unrecovered = &lost
		}
	}
	rows := r.Groups()[1]
	head, cells, _ := report.Text(r, rows)
	last := len(head) - 1
	if head[last] != "recovery s" || cells[0][last] != "≥ 12.5 ± 1.5" || cells[1][last] != "12.5 ± 1.5" {
		t.Errorf("%q: %q, %q", head[last], cells[0][last], cells[1][last])
	}
	if m := report.Markdown(r, report.Header{}); strings.Count(m, "recovery s |") != 1 || !strings.Contains(m, "| ≥ 12.5 ± 1.5 |") {
		t.Error(m)
	}
	page, err := report.HTML(r, report.Header{})
	if err != nil || strings.Count(string(page), ">recovery s<") != 1 || !strings.Contains(string(page), "≥ 12.5") {
		t.Error(err)
	}
}

// What can't be drawn of runs that all failed, or of runs without anything over time, is left out, and the rest is there.
func TestNothingToDraw(t *testing.T) {
	r := show(t)
	for _, o := range r.Runs {
		o.Series = nil
	}
	for _, row := range r.Rows {
		*row = compare.Row{Application: row.Application, Load: row.Load, Manager: row.Manager, Failed: 2, Failure: "panic"}
	}
	r.Pairs = nil
	dir := t.TempDir()
	names, err := report.Write(dir, r, report.Header{}, []byte("{}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if info, err := os.Stat(filepath.Join(dir, n)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", n, err)
		}
	}
}
