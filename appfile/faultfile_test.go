package appfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/fault"
)

// hotelWorld is an hour of the hotel on two nodes.
func hotelWorld(t testing.TB) *fault.World {
	t.Helper()
	bp, err := ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	return &fault.World{Versions: []fault.Version{{Blueprint: bp}}, Nodes: []string{"n1", "n2"}, Duration: time.Hour}
}

func TestAFaultsFileIsRead(t *testing.T) {
	s, err := ParseFaults("f.yaml", []byte(`
faults: two
fixed:
  - {kind: bad-release, service: geo, share: 50%, at: 1m, for: 2m, amount: 2, errors: 10%, leak: 1MiB}
  - {kind: deadlock, replica: geo-0, operation: Nearby, at: 5m, amount: 4, note: for ever}
random:
  - {kind: packet-loss, every: 5m, from: 1m, until: 50m, for: 10s..1m, amount: 0.01..0.1, targets: [geo, {edge: frontend -> search}, {node: n1}]}
`), hotelWorld(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Fixed) != 2 || len(s.Random) != 1 || s.Name != "two" {
		t.Fatalf("%+v", s)
	}
	if want := (fault.Fault{Kind: fault.BadRelease, At: time.Minute, For: 2 * time.Minute, Amount: 2, Errors: 0.1, Leak: 1 << 20,
		Target: fault.Target{Service: "geo", Share: 0.5}}); s.Fixed[0] != want {
		t.Errorf("%+v, want %+v", s.Fixed[0], want)
	}
	if want := (fault.Fault{Kind: fault.Deadlock, At: 5 * time.Minute, Amount: 4,
		Target: fault.Target{Replica: "geo-0", Operation: "Nearby"}}); s.Fixed[1] != want {
		t.Errorf("%+v, want %+v", s.Fixed[1], want)
	}
	r := s.Random[0]
	if r.For != (fault.Range[time.Duration]{Min: 10 * time.Second, Max: time.Minute}) || r.Amount != (fault.Range[float64]{Min: 0.01, Max: 0.1}) {
		t.Errorf("%+v", r)
	}
	if want := []fault.Target{{Service: "geo"}, {From: "frontend", To: "search"}, {Node: "n1"}}; len(r.Targets) != 3 ||
		r.Targets[0] != want[0] || r.Targets[1] != want[1] || r.Targets[2] != want[2] {
		t.Errorf("targets %+v", r.Targets)
	}
}

// Everything that is wrong is told at once, each at its line.
func TestEveryFaultOfAFaultsFileIsTold(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"what the file alone shows", `faults: bad
fixed:
  - {kind: cpu-contention, service: geo, at: 1m, for: 1m, amount: 1.5}
  - {kind: lock, at: 1m, length: 10ms}
  - {kind: load-spike, service: geo, at: 1m, amount: 2}
  - {kind: gc-pause, service: geo, at: 1m, length: 2s, period: 1s}
  - {kind: node-lost, node: n1, at: 10m, for: 5m}
  - {kind: slow-disk, node: n1, at: 12m, for: 1m, amount: 3}
  - {kind: lock, service: geo, operation: Nearby, at: 20m, for: 1m, length: 1s}
  - {kind: lock, service: geo, share: 10%, at: 20m30s, for: 1m, length: 1s}
  - {kind: bad-release, service: geo, at: 30m}
random:
  - {kind: deadlock, every: 1m, for: 10s, amount: 1..4, period: 1s}
  - {kind: packet-loss, every: 10ms, for: 10s, amount: 0.1, targets: [{service: geo, node: n1}]}
`, `f.yaml:3:67: fixed[0].amount: is 1.5, must be above 0 and at most 1
f.yaml:4:5: fixed[1]: hits nothing: lock, which hits a service or replica
f.yaml:5:33: fixed[2].service: can't be hit by load-spike, which hits the whole application: take it out
f.yaml:6:64: fixed[3].period: is 1s, but a pause lasts 2s: the next must begin after it
f.yaml:8:29: fixed[5].node: is "n1", which is lost then by fixed[4] (node-lost on node n1 from 10m0s for 5m0s)
f.yaml:10:48: fixed[7].at: is 20m30s, when fixed[6] goes on (lock on geo.Nearby from 20m0s for 1m0s): end one before the other begins
f.yaml:11:5: fixed[8]: a bad release needs amount (a factor of the CPU demand), errors or leak: else nothing is bad about it
f.yaml:13:51: random[0].amount: is 1, must be above 1 and at most 1e+06
f.yaml:13:65: random[0].period: means nothing for deadlock: take it out
f.yaml:14:32: random[1].every: is 10ms, must be at least 100ms
f.yaml:14:71: random[1].targets[0]: names more than one of service, replica, edge and node: make one fault of each`},
		{"what does not fit the application", `faults: bad
fixed:
  - {kind: gc-pause, service: gio, at: 1m, length: 2ms, period: 1s}
  - {kind: packet-loss, edge: geo -> frontend, at: 1m, for: 1m, amount: 0.1}
  - {kind: node-lost, node: n3, at: 10m, for: 5m}
  - {kind: lock, service: geo, operation: far, at: 59m, for: 2m, length: 1s}
  - {kind: slow-disk, service: geo, at: 60m, amount: 3}
random:
  - {kind: node-lost, every: 10m, for: 1m, until: 61m, targets: [{node: n9}]}
`, `f.yaml:3:31: fixed[0].service: "gio" is not a service of hotel-reservation; known: `},
	} {
		_, err := ParseFaults("f.yaml", []byte(c.text), hotelWorld(t))
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		if got := err.Error(); c.name == "what the file alone shows" && got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		} else if !strings.HasPrefix(got, c.want) || strings.Count(got, "\n") > 11 {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
		for _, also := range []string{`fixed[1].edge: geo never calls frontend`, `fixed[2].node: "n3" is not a node; known: n1, n2`,
			`fixed[3].for: is 2m0s, so that it ends at 1h1m0s, past the end of the run, 1h0m0s`, `fixed[3].operation: "far" is not an operation of geo; known: Nearby`,
			`fixed[4].at: is 1h0m0s, past the end of the run, 1h0m0s`, `random[0].until: is 1h1m0s, past the end`, `random[0].targets[0].node: "n9" is not a node`} {
			if c.name != "what the file alone shows" && !strings.Contains(err.Error(), also) {
				t.Errorf("%s: says nothing of %s in\n%v", c.name, also, err)
			}
		}
	}
}

// A schedule within another file is checked as it is read, and again for each run.
func TestAScheduleMayBeEmbedded(t *testing.T) {
	var f struct {
		Faults FaultSchedule `yaml:"faults"`
		Else   string        `yaml:"else"`
	}
	if err := Decode("e.yaml", []byte("else: x\nfaults:\n  fixed:\n    - {kind: node-lost, node: n1, at: 1m}\n"), &f); err != nil {
		t.Fatal(err)
	}
	s, err := f.Faults.For(hotelWorld(t))
	if err != nil || !f.Faults.Given() || len(s.Fixed) != 1 || s.Fixed[0].Node != "n1" {
		t.Fatalf("%+v, %v", s, err)
	}
	_, err = f.Faults.For(&fault.World{Versions: hotelWorld(t).Versions, Duration: time.Minute})
	if want := `e.yaml:4:39: faults.fixed[0].at: is 1m0s, past the end of the run, 1m0s`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	f.Faults = FaultSchedule{}
	if err := Decode("e.yaml", []byte("else: x\n"), &f); err != nil || f.Faults.Given() {
		t.Errorf("%v, given %v", err, f.Faults.Given())
	}
	if s, err := f.Faults.For(hotelWorld(t)); err != nil || len(s.Fixed)+len(s.Random) != 0 {
		t.Errorf("no schedule is %+v, %v", s, err)
	}
	if err := Decode("e.yaml", []byte("faults: {fixed: [{kind: load-spike, at: 1s, amount: 0.5}]}\n"), &f); err == nil {
		t.Error("a spike downwards was accepted")
	}
}

// Whatever the bytes of a faults file, ParseFaults gives a schedule that can be drawn, or faults.
func FuzzParseFaults(f *testing.F) {
	files, err := filepath.Glob("../examples/faults/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("faults: x\nrandom: [{kind: deadlock, every: 1s, for: 1s..2m, amount: 2..4}]\n"))
	f.Add([]byte("faults: x\nfixed: [{kind: lock, service: geo, at: 1s, length: 1s}]\n"))
	w := hotelWorld(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseFaults("f.yaml", data, w)
		faultsOnly(t, err)
		if (s == nil) == (err == nil) {
			t.Fatalf("schedule %v and error %v", s, err)
		}
		if s == nil {
			return
		}
		all, err := s.Draw(1, w)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if all[i].At < 0 || all[i].At >= w.Duration || i > 0 && all[i].At < all[i-1].At {
				t.Fatalf("%v", &all[i])
			}
		}
	})
}
