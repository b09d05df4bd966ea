package export_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"foresail.dev/telemetry/prom/export"
)

var rewrite = flag.Bool("rewrite", false, "write the table of docs/formats/metrics.md anew")

const tableMark = "<!-- the table is written by: go test ./telemetry/prom/export -run Documented -rewrite -->\n"

// docs/formats/metrics.md lists every metric that there is, as it is.
func TestEveryMetricIsDocumented(t *testing.T) {
	const path = "../../../docs/formats/metrics.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, have, ok := strings.Cut(string(b), tableMark)
	if !ok {
		t.Fatalf("%s has no line %q", path, tableMark)
	}
	want := table()
	if *rewrite {
		if err := os.WriteFile(path, []byte(before+tableMark+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Error("the table is not what there is: run go test ./telemetry/prom/export -run Documented -rewrite")
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("\n| metric | type | labels | what it is |\n|---|---|---|---|\n")
	for _, f := range export.Families() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Kind, strings.Join(f.Labels, ", "), strings.ReplaceAll(f.Help, "|", "\\|"))
	}
	return b.String()
}
