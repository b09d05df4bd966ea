package scenario_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foresail.dev/appfile"
	"foresail.dev/scenario"
)

// apps opens the applications of testdata, and no other file.
func apps(path string) (io.ReadCloser, error) {
	if !strings.HasPrefix(path, "apps/") || !fs.ValidPath(path) {
		return nil, fs.ErrNotExist
	}
	return os.Open(filepath.Join("testdata", path))
}

// start is what most faults come after: line 1 to 3, and a minute that has run.
const start = "app apps/chain.yaml\nload constant 10\nrun 1m\n"

// Each mistake is told with its line, its column and what is allowed.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "s:1:1: runs nothing: a scenario has an app, a load, and at least one run"},
		{"\x00", "s:1:1: is no scenario: it is no text of at most 1048576 bytes"},
		{"frobnicate 3\n", `s:1:1: "frobnicate" is no command: use app, seed, load, users, mix, nodes, manager,`},
		{"  indented\n", "s:1:1: is indented, but there is no command right above"},
		{"load constant 3\n", "s:1:6: no application is known yet: begin with app NAME"},
		{"app nosuch\n", `s:1:5: "nosuch" is no application: use a file, NAME.yaml, or one of banking,`},
		{"app gone.yaml\n", "s:1:5: file does not exist"},
		{"app\n", "s:1:4: write: app NAME | app FILE.yaml"},
		{"app apps/chain.yaml\nrun 1m\n", "s:2:5: there is no load yet"},
		{"app apps/chain.yaml\nload constant 10\n", "s:1:1: runs nothing"},
		{"app apps/chain.yaml\nload constant -3\nrun 1m\n", "s:2:6: level is -3, must be at least 0"},
		{"app apps/chain.yaml\nload ramp from=1 to=x for=1m\nrun 1m\n", `s:2:18: to "x" is not a finite decimal number`},
		{"app apps/chain.yaml\nload ramp from=1 for=1m\nrun 1m\n", `s:2:6: to is missing`},
		{"app apps/chain.yaml\nload rmap from=1 for=1m\nrun 1m\n", `s:2:6: rmap is not a known field; did you mean "ramp"?`},
		{"app apps/chain.yaml\nload constant 1 for=1m then\nrun 1m\n", `s:2:28: a shape is missing after then`},
		{"app apps/chain.yaml\nload constant 1 for=1m for=2m\nrun 1m\n", `s:2:24: for is given twice`},
		{"app apps/chain.yaml\nusers constant 1 think=1\nrun 1m\n", `s:2:7: think "1" has no unit`},
		{"app apps/chain.yaml\nmix gte=3\nload constant 1\nrun 1m\n", `s:2:5: gte is not an endpoint of chain; did you mean "get"?`},
		{"app apps/chain.yaml\nmanager hpc\nload constant 1\nrun 1m\n", `s:2:9: unknown manager "hpc": use static,`},
		{"app apps/chain.yaml\nmanager hpa target=3\nload constant 1\nrun 1m\n", `s:2:9: hpa: target 3 is out of range: use 0.1 to 0.95`},
		{"app apps/chain.yaml\nmanager guard(hpa) baseline=static\nload constant 1\nrun 1m\n", `s:2:9: baseline: static is not reactive`},
		{"app apps/chain.yaml\nallocate logic replicas=99\nload constant 1\nrun 1m\n", `s:2:10: is outside the bounds of logic (max replicas): 12 × 0.50 cores is within them`},
		{"app apps/chain.yaml\nallocate logci replicas=9\nload constant 1\nrun 1m\n", `s:2:10: "service/logci" is nothing that has an allocation: use front, logic, store`},
		{"app apps/chain.yaml\nseed -1\nload constant 1\nrun 1m\n", `s:2:6: "-1" must be a whole number, not negative`},
		{"app apps/chain.yaml\nload constant 1\nrun 1.5s\n", `s:3:5: "1.5s" must be a duration of whole seconds, like 10m`},
		{"app apps/chain.yaml\nload constant 1\nrun 25h\n", `s:3:5: makes it longer than 24h0m0s`},
		{"app apps/chain.yaml\nat 2m load constant 1\nload constant 1\nrun 1m\n", `s:2:4: 2m is never reached: the runs end at 1m`},
		{start + "at 30s load constant 1\n", `s:4:4: 30s is over: 1m has been run so far`},
		{start + "load constant 1\n", `s:4:1: 1m is never reached: the runs end at 1m`},
		{start + "at 70s run 1m\n", `s:4:8: "run" can't be done at a time: use load,`},
		{start + "at 60050ms load constant 1\n", `s:4:4: 1m0.05s is not a whole number of beats of 100ms`},
		{start + "break wind for=1m\nrun 1m\n", `s:4:11: write: break panic|error|no-model|nonsense|least for=DURATION`},
		{start + "hide nothing for=1m\nrun 1m\n", `s:4:6: "nothing" is no signal: use ready, cpu,`},
		{start + "silence for=0s\nrun 1m\n", `s:4:9: "0s" must be a duration above 0`},
		{"app apps/chain.yaml\nnodes 0\nload constant 1\nrun 1m\n", `s:2:7: count is 0, must be`},
		{"app apps/chain.yaml\nnodes 2 cores=1.5\nload constant 1\nrun 1m\n", `s:2:9: cores "1.5" is not a whole number`},
		{"app apps/chain.yaml\nnodes 2 size=3\nload constant 1\nrun 1m\n", `s:2:9: size is not a known field`},
		{"app apps/chain.yaml\nnodes 2 placement=best\nload constant 1\nrun 1m\n", `s:2:9: placement `},
		{"app apps/chain.yaml\nnodes gone.yaml\nload constant 1\nrun 1m\n", `s:2:7: file does not exist`},
		{start + "fault gc-pasue for=1m\nrun 2m\n", `s:4:7: kind "gc-pasue" is no kind of fault; known: cpu-contention,`},
		{start + "at 70s fault gc-pause service=logci length=1s period=2s\nrun 2m\n", `s:4:23: service "logci" is not a service of chain`},
		{start + "at 70s fault lock service=logic length=5ms for=2m\nrun 1m\n", `s:4:44: for is 2m0s, so that it ends at 3m10s, past the end of the run, 2m0s`},
		{start + "at 70s fault lock service=logic length=5ms for=20s\nat 80s fault lock service=logic length=5ms for=20s\nrun 1m\n", `s:5:`},
		{start + "at 70s fault lock at=3s\nrun 1m\n", `s:4:19: write: at TIME fault ...`},
		{start + "fault\nrun 1m\n", `the kinds are cpu-contention,`},
		{"app apps/chain.yaml\nfaults gone.yaml\nload constant 1\nrun 1m\n", `s:2:8: file does not exist`},
		{"app apps/chain.yaml\nupdate apps/fan.yaml\nload constant 1\nrun 1m\n", `s:2:8: an update comes in mid-run: write at TIME update apps/fan.yaml`},
		{start + "update apps/fan.yaml\nrun 1m\n", `s:4:8: is the application fan, and this one is chain`},
		{start + "at 80s update apps/chain.yaml\nat 70s update apps/chain.yaml\nrun 1m\n", `s:5:15: must come after the update before it, at 1m20s`},
		{start + "truth\n", `s:4:6: when is missing`},
		{start + "app hotel-reservation\n", `s:4:1: app comes before the first run, or after restart`},
		{start + "restart now\nrun 1m\n", `s:4:9: restart stands alone`},
		{"restart\n", `s:1:1: nothing has been run yet`},
		{start + "eval p99 get over 1m..2m\n", `s:4:19: 2m is in the future: 1m has been run so far`},
		{start + "eval p99 get over 30s..20s\n", `s:4:19: "30s..20s" holds no time`},
		{start + "eval p99 get over 1500ms..3s\n", `s:4:19: "1500ms..3s": times are whole seconds`},
		{start + "eval p99 get over soon\n", `s:4:19: "soon" is no span: write it like 5m..6m`},
		{start + "eval p99 get\n", `s:4:13: when is missing: over 5m..6m, over all, or at 8m`},
		{start + "eval p99x get at 8s\n", `s:4:6: "p99x" is no metric and no name of a let: use p50, p99, p99.9 and the like, latency,`},
		{start + "eval p99 gte at 8s\n", `s:4:10: "gte" is nothing that has p99: use get, front, logic, store`},
		{start + "eval cores get at 8s\n", `s:4:12: "get" is nothing that has cores: use front, logic, store`},
		{start + "eval decisions get at 8s\n", `s:4:16: "get": decisions is of the whole application`},
		{start + "eval p99 get at 8s twice\n", `s:4:20: "twice" is more than is asked for here`},
		{start + "expect p99 get at 8s < 100\n", `s:4:24: "100" must be a duration like 40ms`},
		{start + "expect p99 get at 8s < rate get at 8s\n", `they can't be compared`},
		{start + "expect p99 get at 8s\n", `s:4:21: what p99 get at 8s should be is missing: use ==, !=, <=, >=, <, >, ~ and a value`},
		{start + "expect p99 get at 8s ~ 3ms within 0\n", `s:4:35: "0" must be a share above 0, like 5%`},
		{start + "expect first replicas logic over all < 3m\n", `first needs what to wait for`},
		{start + "expect reason logic over all contains utilisation\n", `write: expect reason SPAN contains|lacks "TEXT"`},
		{start + "expect reason logic over all contains \"x\n", `s:4:39: a text in quotes has no end`},
		{start + "let p99 = cores at 8s\n", `s:4:5: "p99" can't be a name`},
		{start + "let x = cores at 8s\nexpect x < 40ms\n", `s:5:12: "40ms" must be a number of cores like 2.5`},
		{start + "plot cores logic over all height=1000\n", `s:4:27: height must be a whole number within 3..200`},
		{start + "plot over all\n", `write: plot METRIC`},
		{start + "decisions over all limit=0\n", `s:4:20: limit must be a whole number within 1..1000`},
		{start + "seed 3\n  3\n", "s:5:1: is output, and seed has none"},
		{"seed x\nfrob\nrun 0s\n", "s:2:1: \"frob\" is no command"}, // all at once
	} {
		_, err := scenario.Parse("s", []byte(c.text), apps)
		var faults appfile.Faults
		if !errors.As(err, &faults) || !strings.Contains(faults.Error(), c.want) {
			t.Errorf("%s got %v\nwant %s", c.text, err, c.want)
		}
	}
	_, err := scenario.Parse("s", []byte("seed x\nfrob\nrun 0s\n"), apps)
	var faults appfile.Faults
	if !errors.As(err, &faults) || len(faults) != 3 || faults[0].Line != 1 || faults[2].Line != 3 {
		t.Errorf("not all at once: %v", err)
	}
}

// Whatever the bytes, Parse gives a scenario or faults, each with a place and a message, in the order of lines.
func FuzzParse(f *testing.F) {
	found, err := filepath.Glob("testdata/*.scenario")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range found {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(start + "at 70s break panic for=1m\nat 80s hide cpu for=3s\nusers constant 3 think=1s\nrun 1m\nexpect 2 * min cores logic over 3s..end ~ 3 within 5%\nrestart\nrun 1s\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := scenario.Parse("s", []byte(text), apps)
		if (s == nil) == (err == nil) {
			t.Fatalf("scenario %v and error %v", s, err)
		}
		var faults appfile.Faults
		if err == nil {
			return
		}
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		for i, f := range faults {
			if f.File == "" || f.Line < 1 || f.Column < 1 || f.Message == "" || i > 0 && f.Line < faults[i-1].Line {
				t.Errorf("fault %d: %+v", i, f)
			}
		}
	})
}

// The README names every command and every metric.
func TestReadmeNamesEverything(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, err = scenario.Parse("s", []byte("frobnicate\n"+start+"eval frobnicate at 3s\n"), apps)
	for part := range strings.SplitSeq(err.Error(), "\n") {
		_, names, ok := strings.Cut(part, ": use ")
		if !ok {
			t.Fatalf("no names in %q", part)
		}
		for _, name := range strings.Split(strings.TrimPrefix(names, "p50, p99, p99.9 and the like, "), ", ") {
			if !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "`"+name+" ") {
				t.Errorf("the README says nothing of %s", name)
			}
		}
	}
}

// play runs a text; it fails the test when the text can't be run.
func play(t *testing.T, text string) *scenario.Result {
	t.Helper()
	s, err := scenario.Parse("s", []byte(text), apps)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const short = `# Words.
app apps/chain.yaml
seed 3
load constant 40
run 5s

eval p50 get over all
expect rate get over all ~ 40/s within 50%
eval cores at 5s
plot cores logic over all height=3 width=10
`

// The same file gives the same bytes, and its own output once it was updated; another seed does not.
func TestSameSeedSameBytes(t *testing.T) {
	text := strings.Replace(short, "40/s", "40", 1)
	a, b := play(t, text), play(t, text)
	if a.Transcript != b.Transcript || len(a.Failures) > 0 {
		t.Errorf("first\n%s\nthen\n%s", a.Transcript, b.Transcript)
	}
	if again := play(t, a.Updated); again.Updated != a.Updated || len(again.Failures) > 0 {
		t.Errorf("updated\n%s\nand again\n%s", a.Updated, again.Updated)
	}
	if strings.Count(a.Updated, "\n") != strings.Count(text, "\n")+2+6 || strings.Contains(a.Updated, "ok:") {
		t.Errorf("updated\n%s", a.Updated)
	}
	other := play(t, strings.Replace(a.Updated, "seed 3", "seed 4", 1))
	if len(other.Failures) == 0 || !other.Failures[0].Output || other.Failures[0].Line != 7 {
		t.Errorf("failures %v", other.Failures)
	}
}

// What does not hold is told with the value, the decisions and a plot.
func TestFailuresTellWhy(t *testing.T) {
	r := play(t, "app apps/chain.yaml\nmanager hpa\nload constant 300\nrun 40s\nexpect cores logic at 40s < 1\nexpect reason logic over all contains \"because\"\n")
	if len(r.Failures) != 2 {
		t.Fatalf("failures %v", r.Failures)
	}
	for i, parts := range [][]string{
		{"s:5: expect cores logic at 40s < 1\n", "cores logic at 40s is ", "decisions over 9s..40s:", "hpa/utilisation", "cores logic, up to", " |", "40s"},
		{"s:6: ", `contains "because"`, "hpa/utilisation"},
	} {
		for _, part := range parts {
			if !strings.Contains(r.Failures[i].Error(), part) {
				t.Errorf("no %q in\n%s", part, r.Failures[i].Error())
			}
		}
	}
	if !strings.Contains(r.Transcript, "  FAILED: cores logic at 40s is ") {
		t.Errorf("transcript\n%s", r.Transcript)
	}
}

// A scenario that is stopped says so.
func TestStopped(t *testing.T) {
	s, err := scenario.Parse("s", []byte(short[:strings.Index(short, "expect")]), apps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Run(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "s:7: ") {
		t.Errorf("got %v", err)
	}
}
