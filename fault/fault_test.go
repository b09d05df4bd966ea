package fault_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/fault"
	"pgregory.net/rapid"
)

// shop is front -> cart -> store; the store has a disk and a memory limit.
func shop() *foresail.Blueprint {
	app := &foresail.App{Name: "shop"}
	bp := &foresail.Blueprint{App: app}
	for i, name := range []string{"front", "cart", "store"} {
		op := foresail.Operation{Name: "get"}
		if i < 2 {
			op.Steps = []foresail.Step{{Calls: []foresail.Call{{Target: foresail.Target{Service: foresail.ServiceID(i + 1)}}}}}
		} else {
			op.Steps = []foresail.Step{{Work: foresail.Demand{IO: foresail.Dist{Mean: 0.001}}}}
		}
		app.Services = append(app.Services, foresail.Service{Name: name, Initial: foresail.Allocation{Replicas: 2, CPU: 1, Memory: int64(i) << 20}})
		bp.Services = append(bp.Services, foresail.ServiceBlueprint{Operations: []foresail.Operation{op}})
	}
	return bp
}

// twoVersions is shop, from which cart goes after half an hour, on two nodes for an hour.
func twoVersions() *fault.World {
	later := shop()
	later.App.Services[1] = foresail.Service{Name: "cart", Gone: true}
	later.Services[1] = foresail.ServiceBlueprint{}
	later.Services[0].Operations[0].Steps[0].Calls[0].Target.Service = 2
	return &fault.World{Versions: []fault.Version{{Blueprint: shop()}, {At: 30 * time.Minute, Blueprint: later}},
		Nodes: []string{"n1", "n2"}, Duration: time.Hour}
}

// random has an entry for each kind, much of it, so that contradictions are likely.
func random() []fault.Random {
	every := func(k fault.Kind) fault.Random {
		return fault.Random{Kind: k, Every: 2 * time.Minute, For: fault.Range[time.Duration]{Min: time.Second, Max: 5 * time.Minute}}
	}
	var out []fault.Random
	for k := range fault.Kind(fault.Kinds) {
		r := every(k)
		switch {
		case k.Contention():
			r.Amount = fault.Range[float64]{Min: 0.1, Max: 1}
		case k == fault.PacketLoss:
			r.Amount = fault.Range[float64]{Min: 0.01, Max: 0.2}
		case k == fault.SlowDisk || k == fault.LoadSpike:
			r.Amount = fault.Range[float64]{Min: 1.5, Max: 4}
		case k == fault.Lock:
			r.Length = fault.Range[time.Duration]{Min: time.Millisecond, Max: time.Second}
		case k == fault.Deadlock:
			r.Amount = fault.Range[float64]{Min: 2, Max: 9}
		case k == fault.BadRelease:
			r.Amount, r.Errors = fault.Just(2.0), fault.Range[float64]{Max: 1}
		case k == fault.GCPause:
			r.Length, r.Period, r.Jitter = fault.Just(time.Second), fault.Just(time.Minute), fault.Just(0.5)
		}
		out = append(out, r)
	}
	return out
}

// Whatever the seed, what is drawn beside fixed faults is a schedule that the strictest check has nothing against.
func TestWhatIsDrawnIsNeverContradictory(t *testing.T) {
	w := twoVersions()
	kinds := map[fault.Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := fault.Schedule{Random: random(), Fixed: []fault.Fault{
			{Kind: fault.NodeLost, At: 10 * time.Minute, For: 10 * time.Minute, Target: fault.Target{Node: "n1"}},
			{Kind: fault.Lock, At: 20 * time.Minute, Length: time.Second, Target: fault.Target{Service: "store"}}}}
		s.Random = append(s.Random, fault.Random{Kind: fault.CacheContention, Every: time.Minute, For: fault.Just(time.Minute), Amount: fault.Just(0.5),
			Targets: []fault.Target{{Node: "n1"}, {Node: "n2"}, {Service: "cart", Share: 0.5}, {Replica: "cart-1"}}})
		all, err := s.Draw(rapid.Uint64().Draw(t, "seed"), w)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > fault.MaxFixed {
			t.Skip()
		}
		for _, f := range all {
			kinds[f.Kind]++
		}
		if err := (&fault.Schedule{Fixed: all}).CheckIn(w).Err(); err != nil {
			t.Fatal(err)
		}
	})
	if len(kinds) != fault.Kinds {
		t.Errorf("only %d of %d kinds were drawn: %v", len(kinds), fault.Kinds, kinds)
	}
}

func TestTheSameSeedDrawsTheSame(t *testing.T) {
	w := twoVersions()
	s := &fault.Schedule{Random: random()}
	a, err := s.Draw(7, w)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := s.Draw(7, w)
	c, _ := s.Draw(8, w)
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, c) {
		t.Errorf("%d, %d and %d faults", len(a), len(b), len(c))
	}
}

// Entries don't disturb each other: when and how badly one's faults come does not depend on the others.
func TestEntriesDrawForThemselves(t *testing.T) {
	w := twoVersions()
	all := random()
	of := func(list []fault.Random) map[string]bool {
		drawn, err := (&fault.Schedule{Random: list}).Draw(3, w)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for _, f := range drawn {
			if f.Kind == fault.LoadSpike {
				out[fmt.Sprint(f.At, f.For, f.Amount)] = true
			}
		}
		return out
	}
	quiet := random()
	for i := range quiet {
		if quiet[i].Kind != fault.LoadSpike {
			quiet[i].Every *= 10
		}
	}
	if a, b := of(all), of(quiet); len(a) == 0 || !reflect.DeepEqual(a, b) {
		t.Errorf("%v, and among fewer others %v", a, b)
	}
}

func TestRandomFaultsComeAsOftenAsAsked(t *testing.T) {
	w := twoVersions()
	n := 0
	for seed := range uint64(200) {
		all, err := (&fault.Schedule{Random: []fault.Random{{Kind: fault.LoadSpike, Every: 10 * time.Minute, From: 10 * time.Minute,
			Until: 40 * time.Minute, For: fault.Just(time.Second), Amount: fault.Just(2.0)}}}).Draw(seed, w)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.At < 10*time.Minute || f.At >= 40*time.Minute {
				t.Fatalf("%v", &f)
			}
		}
		n += len(all)
	}
	if n < 520 || n > 680 { // 600 ± 24.5, a Poisson number
		t.Errorf("%d faults in 200 runs, want 600", n)
	}
}

// Each line is a schedule that contradicts itself or the run, and what is said of it.
func TestContradictionsAreTold(t *testing.T) {
	at := func(d time.Duration) fault.Fault {
		return fault.Fault{Kind: fault.Lock, At: d, For: time.Minute, Length: time.Second, Target: fault.Target{Service: "cart"}}
	}
	for _, c := range []struct {
		name  string
		fixed []fault.Fault
		want  []string
	}{
		{"fine", []fault.Fault{at(time.Minute), at(2 * time.Minute), at(29 * time.Minute)}, nil},
		{"two at once", []fault.Fault{at(time.Minute), at(90 * time.Second)}, []string{"fixed[1].at: is 1m30s, when fixed[0] goes on (lock on cart from 1m0s for 1m0s)"}},
		{"a service that goes meanwhile", []fault.Fault{at(29*time.Minute + 30*time.Second)}, []string{`fixed[0].service: "cart" is not a service of shop; known: front, store (the application from 30m0s on)`}},
		{"an edge that goes", []fault.Fault{{Kind: fault.PacketLoss, Amount: 0.1, At: time.Minute, Target: fault.Target{From: "front", To: "cart"}}}, []string{`edge: "cart" is not a service`}},
		{"an edge that is there later", []fault.Fault{{Kind: fault.BlockingCycle, At: time.Minute, Target: fault.Target{From: "front", To: "store"}}}, []string{"edge: front never calls store; it calls: cart"}},
		{"on a node that is lost", []fault.Fault{{Kind: fault.NodeLost, At: time.Minute, Target: fault.Target{Node: "n1"}},
			{Kind: fault.DiskContention, Amount: 0.5, At: 5 * time.Minute, For: time.Minute, Target: fault.Target{Node: "n1"}},
			{Kind: fault.NodeLost, At: 6 * time.Minute, Target: fault.Target{Node: "n1"}}},
			[]string{`fixed[1].node: is "n1", which is lost then by fixed[0]`, "fixed[2].at: is 6m0s, when fixed[0] goes on"}},
		{"past the end", []fault.Fault{at(time.Hour), {Kind: fault.LoadSpike, Amount: 2, At: 59 * time.Minute, For: 2 * time.Minute}},
			[]string{"fixed[0].at: is 1h0m0s, past the end", `fixed[0].service: "cart" is not`, "fixed[1].for: is 2m0s, so that it ends at 1h1m0s"}},
		{"negative", []fault.Fault{{Kind: fault.LoadSpike, Amount: -1, At: -time.Second, For: -time.Second}},
			[]string{"fixed[0].at: is -1s", "fixed[0].for: is -1s", "fixed[0].amount: is -1, must be above 1"}},
		{"needless", []fault.Fault{{Kind: fault.NodeLost, Amount: 2, Length: 1, Jitter: 0.5, Target: fault.Target{Node: "n1", Share: 0.5}}},
			[]string{"amount: means nothing", "length: means nothing", "jitter: means nothing", "share: is of a service's replicas"}},
		{"no disk, no limit", []fault.Fault{{Kind: fault.SlowDisk, Amount: 2, Target: fault.Target{Service: "front"}}, {Kind: fault.BadRelease, Leak: 1, Target: fault.Target{Service: "front"}}},
			[]string{`"front" has no disk I/O`, "fixed[1].leak: never ends in a restart: front has no memory limit"}},
		{"half a worker", []fault.Fault{{Kind: fault.Deadlock, Amount: 2.5, Target: fault.Target{Service: "front"}}}, []string{"amount: is 2.5, must be a whole number"}},
		{"an unknown operation", []fault.Fault{{Kind: fault.Deadlock, Amount: 2, Target: fault.Target{Service: "front", Operation: "put"}}}, []string{`operation: "put" is not an operation of front; known: get`}},
		{"a replica of nothing", []fault.Fault{{Kind: fault.GCPause, Length: 1, Period: 3, Target: fault.Target{Replica: "front"}}}, []string{`replica: "front" is no replica's name`}},
		{"an unknown kind", []fault.Fault{{Kind: 99}}, []string{"kind: kind 99 is not known"}},
	} {
		got := (&fault.Schedule{Fixed: c.fixed}).CheckIn(twoVersions())
		if len(got) != len(c.want) {
			t.Errorf("%s: want %d problems, got\n%v", c.name, len(c.want), got)
		}
		for _, want := range c.want {
			if !strings.Contains(got.Error(), want) {
				t.Errorf("%s: says nothing of %q in\n%v", c.name, want, got)
			}
		}
		if _, err := (&fault.Schedule{Fixed: c.fixed}).Draw(1, twoVersions()); (err == nil) != (len(c.want) == 0) {
			t.Errorf("%s: drawn with %v", c.name, err)
		}
	}
}

// Operations, shares and replicas may be hit side by side; a whole service and a part of it may not.
func TestWhatMeets(t *testing.T) {
	lock := func(t fault.Target) fault.Fault {
		return fault.Fault{Kind: fault.PacketLoss, Amount: 0.5, Target: t}
	}
	for _, c := range []struct {
		a, b fault.Target
		meet bool
	}{
		{fault.Target{Service: "cart"}, fault.Target{Service: "cart"}, true},
		{fault.Target{Service: "cart"}, fault.Target{Service: "store"}, false},
		{fault.Target{Service: "cart"}, fault.Target{Replica: "cart-0"}, true},
		{fault.Target{Replica: "cart-1"}, fault.Target{Replica: "cart-0"}, false},
		{fault.Target{Service: "cart", Share: 0.5}, fault.Target{Service: "cart", Share: 0.1}, true},
		{fault.Target{Service: "cart"}, fault.Target{From: "front", To: "cart"}, true},
		{fault.Target{From: "front", To: "cart"}, fault.Target{Service: "store"}, false},
		{fault.Target{From: "front", To: "cart"}, fault.Target{From: "front", To: "cart"}, true},
		{fault.Target{From: "front", To: "cart"}, fault.Target{From: "cart", To: "store"}, false},
		{fault.Target{Node: "n1"}, fault.Target{Node: "n1"}, true},
		{fault.Target{Node: "n1"}, fault.Target{Service: "cart"}, false},
	} {
		for _, pair := range [][]fault.Fault{{lock(c.a), lock(c.b)}, {lock(c.b), lock(c.a)}} {
			if got := len((&fault.Schedule{Fixed: pair}).Check()) > 0; got != c.meet {
				t.Errorf("%v and %v: %v", c.a, c.b, got)
			}
		}
	}
}

func TestRandomEntriesAreChecked(t *testing.T) {
	bad := []fault.Random{
		{Kind: fault.Lock, For: fault.Just(time.Second), Length: fault.Just(time.Second)},
		{Kind: fault.Lock, Every: time.Minute, Length: fault.Just(time.Second)},
		{Kind: fault.Lock, Every: time.Minute, For: fault.Just(time.Second), Length: fault.Range[time.Duration]{Min: 2, Max: 1}},
		{Kind: fault.GCPause, Every: time.Minute, For: fault.Just(time.Second), Length: fault.Range[time.Duration]{Min: 1, Max: 9}, Period: fault.Range[time.Duration]{Min: 5, Max: 99}},
		{Kind: fault.LoadSpike, Every: time.Minute, For: fault.Just(time.Second), Amount: fault.Just(2.0), From: time.Hour, Until: 2 * time.Hour},
		{Kind: fault.LoadSpike, Every: time.Minute, For: fault.Just(time.Second), Amount: fault.Just(2.0), Targets: []fault.Target{{}}},
	}
	got := (&fault.Schedule{Random: bad}).CheckIn(twoVersions()).Error()
	for i, want := range []string{"every: is 0s", "for: is 0s..0s", "length: is 2ns..1ns", "period: can be 5ns, but a pause can last 9ns", "from: is 1h0m0s, past the end", "targets[0]: names nothing"} {
		if want = fmt.Sprintf("random[%d].%s", i, want); !strings.Contains(got, want) {
			t.Errorf("says nothing of %q in\n%s", want, got)
		}
	}
	if got := (&fault.Schedule{Random: random()}).CheckIn(&fault.World{Versions: twoVersions().Versions}).Error(); !strings.Contains(got, "for a run with an end") {
		t.Errorf("without an end: %s", got)
	}
}

func TestNamesOfKindsComeBack(t *testing.T) {
	for i, name := range fault.Names() {
		var k fault.Kind
		if err := k.UnmarshalText([]byte(name)); err != nil || int(k) != i || k.String() != name {
			t.Errorf("%s is %v, %v", name, k, err)
		}
	}
	if err := new(fault.Kind).UnmarshalText([]byte("flood")); err == nil || !strings.Contains(err.Error(), "packet-loss") {
		t.Errorf("%v", err)
	}
}

func ExampleSchedule_Draw() {
	s := fault.Schedule{Random: []fault.Random{{
		Kind: fault.Lock, Every: 20 * time.Minute, For: fault.Range[time.Duration]{Min: 10 * time.Second, Max: time.Minute},
		Length: fault.Just(20 * time.Millisecond),
	}}}
	all, err := s.Draw(4, &fault.World{Versions: []fault.Version{{Blueprint: shop()}}, Duration: time.Hour})
	if err != nil {
		fmt.Println(err)
	}
	for i := range all {
		all[i].At, all[i].For = all[i].At.Round(time.Second), all[i].For.Round(time.Second)
		fmt.Println(&all[i])
	}
	// Output:
	// lock on cart from 8m29s for 55s
	// lock on cart from 21m20s for 15s
	// lock on cart from 26m11s for 54s
}
