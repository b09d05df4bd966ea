package compare

import "testing"

func TestRuns(t *testing.T) {
	e, err := Read("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g, err := Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range r.Rows {
		t.Logf("%+v %v %v", row, *row.Cores, *row.Violations)
	}
}
