package seeing_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/seeing"
)

// A run of half an hour has episodes; labels agree with what was injected in at least four of five; the same seed gives the same run,
// with the same labels, another seed another.
func TestOperation(t *testing.T) {
	bp, err := appfile.ReadApp("social-network")
	if err != nil {
		t.Fatal(err)
	}
	o := seeing.Operation{Blueprint: bp, Duration: 30 * time.Minute, Low: 80, High: 220, Every: 80 * time.Second, Traced: 1, Kinds: seeing.Usual}
	run := func(seed uint64) *seeing.Operated {
		r, err := o.Run(context.Background(), seed)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a := run(1)
	same, of := seeing.Agree(bp.App, []*seeing.Operated{a})
	t.Logf("%d episodes, %d of %d labels agree: %v", len(a.Run.Episodes), same, of, a.Causes)
	if of < 4 || 5*same < 4*of {
		t.Errorf("%d of %d labels are what was injected", same, of)
	}
	if len(a.Causes) != len(a.Run.Episodes) || a.Run.Beats() != 18_000 || len(a.Run.Calls) == 0 {
		t.Errorf("%d causes of %d episodes in %d beats, %d calls", len(a.Causes), len(a.Run.Episodes), a.Run.Beats(), len(a.Run.Calls))
	}
	o.Duration = 3 * time.Minute
	b, c, d := run(2), run(2), run(3)
	if !reflect.DeepEqual(b.Run.Episodes, c.Run.Episodes) || !same32(b.Run.Values, c.Run.Values) {
		t.Error("the same seed gave another run")
	}
	if same32(b.Run.Values, d.Run.Values) {
		t.Error("another seed gave the same run")
	}
}

func same32(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && (a[i] == a[i] || b[i] == b[i]) {
			return false
		}
	}
	return true
}
