package arch

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheTreeKeepsTheRules(t *testing.T) {
	faults, err := Check(os.DirFS("../.."), Rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// Each tree breaks one rule; the check must say which, and where.
func TestCheckFindsWhatBreaksARule(t *testing.T) {
	rules := []Rule{
		{Dir: "", Pure: true, Why: "the root is alone"},
		{Dir: "plan", Own: []string{"", "plan/..."}, Tests: []string{"load"}, Pure: true, Why: "managers decide from snapshots alone"},
		{Dir: "cmd", Own: []string{"..."}, Others: []string{"..."}},
	}
	cases := []struct{ name, path, src, want string }{
		{"a sibling imported", "plan/hpa/a.go", `package hpa; import _ "foresail.dev/cluster/sim"`, "plan/hpa/a.go: imports foresail.dev/cluster/sim: managers decide"},
		{"what only tests may import", "plan/a.go", `package plan; import _ "foresail.dev/load"`, "plan/a.go: imports foresail.dev/load: managers decide"},
		{"a library imported", "plan/a.go", `package plan; import _ "github.com/x/y"`, "plan/a.go: imports github.com/x/y"},
		{"the clock read", "plan/a.go", `package plan; import "time"; var t = time.Now()`, "plan/a.go:1:"},
		{"the clock read under another name", "plan/a.go", `package plan; import clock "time"; var t = clock.Since`, "clock.Since"},
		{"a global random source", "a.go", `package foresail; import "math/rand/v2"; var x = rand.IntN(3)`, "rand.IntN"},
		{"the old random package", "a.go", `package foresail; import "math/rand"; var x *rand.Rand`, "imports math/rand"},
		{"a logger", "plan/a.go", `package plan; import _ "log/slog"`, "imports log/slog"},
		{"a goroutine", "plan/a.go", `package plan; func f() { go f() }`, "starts a goroutine"},
		{"a package without a rule", "utils/a.go", `package utils`, "utils: no rule"},
		{"a package too large", "plan/a.go", "package plan\n" + strings.Repeat("\n", MaxPackageLines), "two rooms"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			faults, err := Check(fstest.MapFS{c.path: {Data: []byte(c.src)}}, rules)
			if err != nil {
				t.Fatal(err)
			}
			if len(faults) != 1 || !strings.Contains(faults[0], c.want) {
				t.Fatalf("want one fault with %q, got %q", c.want, faults)
			}
		})
	}
	clean := fstest.MapFS{
		"a.go":           {Data: []byte(`package foresail; import "time"; var d = time.Second`)},
		"plan/a.go":      {Data: []byte(`package plan; import ("math/rand/v2"; "foresail.dev"; _ "foresail.dev/plan/guard"); var r = rand.New(rand.NewPCG(1, 2)); var _ foresail.App`)},
		"cmd/x/a.go":     {Data: []byte(`package main; import (_ "github.com/x/y"; _ "time")`)},
		"plan/a_test.go": {Data: []byte(`package plan; import (_ "log"; _ "foresail.dev/load")`)},
	}
	if faults, err := Check(clean, rules); err != nil || len(faults) != 0 {
		t.Fatalf("clean tree: %v %v", faults, err)
	}
}

// What was injected is for who evaluates a run: nobody who decides, learns or shows may know it, now or in a package to
// come, nor the simulator that injects it.
func TestWhoDecidesCannotKnowWhatWasInjected(t *testing.T) {
	for _, dir := range []string{"", "plan", "plan/hpa", "plan/managers", "model", "model/forecast", "model/foresee", "ml", "loop", "web", "telemetry", "telemetry/otlp"} {
		rule, ok := ruleFor(dir, Rules)
		if !ok && (strings.HasPrefix(dir, "model") || dir == "ml") {
			continue // there is none yet, and without a rule there can be no package
		}
		if !ok {
			t.Errorf("no rule for %s", dir)
		}
		for _, secret := range []string{"fault", "cluster/sim", "cluster/sim/disturb", "cluster/sim/node"} {
			if allowedOwn(secret, dir, rule.Own) {
				t.Errorf("%s may import %s", dir, secret)
			}
		}
	}
}
