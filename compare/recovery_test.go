package compare

import "testing"

// A run under a spike that its allocation can't carry says how long it took, in its outcome and in its row; one under a
// load without a spike says nothing.
func TestRunRecovers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/spike.yaml", "load: spike\ncurve: [spike: {base: 20, peak: 900, at: 10s, width: 3s, for: 50s}]\n")
	write(t, dir+"/steady.yaml", "load: steady\ncurve: [constant: 20]\n")
	write(t, dir+"/e.yaml", `experiment: a
applications: [online-boutique]
loads: [spike.yaml, steady.yaml]
managers: [static]
seeds: [1, 2]
duration: 45s
warmup: 5s
`)
	e, err := Read(dir + "/e.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g, err := Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	spike, steady := r.Rows[0], r.Rows[1]
	if spike.Recovery == nil || *spike.Recovery < 3 || *spike.Recovery > 40 || spike.RecoveryCI == nil || r.Runs[0].Surges != 1 {
		t.Errorf("under a spike: %+v", spike)
	}
	if steady.Recovery != nil || steady.Unrecovered != nil {
		t.Errorf("without one: %+v", steady)
	}
}
