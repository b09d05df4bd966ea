package acting

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/seeing"
	"foresail.dev/fault"
	"foresail.dev/model/foresee"
	"foresail.dev/model/foresee/label"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/seer"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }

// made is a run of three minutes with a lock from 100 s to 110 s.
func made(dangers []danger, episodes ...label.Episode) *managed {
	m := &managed{Operated: &seeing.Operated{Run: &foresee.Run{Start: start, Episodes: episodes},
		Faults: []fault.Fault{{Kind: fault.Lock, At: 100 * time.Second, For: 10 * time.Second}}}, dangers: dangers}
	for _, e := range episodes {
		cause := "load"
		if f := m.Fault(e.Broken); f != nil {
			cause = f.Kind.String()
		}
		m.Causes, m.Hit = append(m.Causes, cause), append(m.Hit, "")
	}
	return m
}

func episode(broken, end float64, culprit foresail.ServiceID) label.Episode {
	return label.Episode{Start: at(broken - 0.5), Broken: at(broken), End: at(end), Over: at(end + 5), Culprit: culprit}
}

func TestFates(t *testing.T) {
	alone := made(nil, episode(30, 33, 2), episode(102, 112, 4))
	for name, c := range map[string]struct {
		wrapped *managed
		load    fate // of the first
		lock    fate // of the second
		added   int
		wrong   int
	}{
		"nothing is foreseen, and nothing changes": {made(nil, episode(30, 33, 2), episode(102, 112, 4)),
			fate{cause: "load", known: true}, fate{cause: "lock", known: true}, 0, 0},
		"foreseen and avoided": {made([]danger{{service: 2, from: at(29.5), to: at(36)}, {service: 4, from: at(101), to: at(118)}}),
			fate{cause: "load", known: true, foreseen: true, named: true, avoided: true}, fate{cause: "lock", known: true, foreseen: true, named: true, avoided: true}, 0, 0},
		"foreseen elsewhere, and put off within the fault": {made([]danger{{service: 9, from: at(101), to: at(118)}}, episode(109, 114, 4)),
			fate{cause: "load", known: true, avoided: true}, fate{cause: "lock", known: true, foreseen: true}, 0, 0},
		"seen when it was too late": {made([]danger{{service: 4, from: at(102), to: at(118)}}, episode(102.2, 110, 4)),
			fate{cause: "load", known: true, avoided: true}, fate{cause: "lock", known: true}, 0, 0},
		"a false alarm, and an episode that was not there": {made([]danger{{service: 1, from: at(60), to: at(66)}}, episode(150, 152, 1)),
			fate{cause: "load", known: true, avoided: true}, fate{cause: "lock", known: true, avoided: true}, 1, 1},
	} {
		got := fates(alone, c.wrapped)
		if len(got) != 2 || got[0] != c.load || got[1] != c.lock {
			t.Errorf("%s: %+v", name, got)
		}
		if n := added(alone, c.wrapped); n != c.added {
			t.Errorf("%s: %d episodes were added, not %d", name, n, c.added)
		}
		if n, _ := falseAlarms(alone, c.wrapped); n != c.wrong {
			t.Errorf("%s: %d false alarms, not %d", name, n, c.wrong)
		}
	}
}

func TestCount(t *testing.T) {
	alone := made(nil, episode(30, 33, 2), episode(102, 112, 4))
	wrapped := made([]danger{{service: 4, from: at(101), to: at(118), extra: 8}, {service: 1, from: at(60), to: at(66), extra: 2}}, episode(30, 32, 2))
	alone.cores, alone.seconds, wrapped.cores, wrapped.seconds = 1000, 100, 1020, 100
	rows := count(Row{Manager: "hpa"}, "all", []pair{{alone, wrapped}})
	if len(rows) != 3 || rows[0].Cause != "all" || rows[1].Cause != "load" || rows[2].Cause != "lock" {
		t.Fatalf("%+v", rows)
	}
	r := rows[0]
	if r.Episodes != 2 || r.Foreseen != 1 || r.Avoided != 1 || r.ForeseenAvoided != 1 || *r.AvoidedShare != 0.5 || *r.ForeseenShare != 1 || *r.Named != 1 ||
		r.Injected != 1 || *r.Wrapped != 1 || *r.Added != 0 || *r.Alarms != 2 || *r.False != 1 || *r.Violated != 13 || *r.ViolatedW != 2 {
		t.Errorf("%+v", r)
	}
	if *r.Cores != 10 || *r.CoresW != 10.2 || *r.CoresAdded != 0.02 || *r.CoresRaised != 0.01 || *r.CoresFalse != 0.002 {
		t.Errorf("cores %v %v %v %v %v", *r.Cores, *r.CoresW, *r.CoresAdded, *r.CoresRaised, *r.CoresFalse)
	}
	if l := rows[2]; l.Cores != nil || l.Episodes != 1 || *l.AvoidedShare != 1 {
		t.Errorf("%+v", l)
	}
}

// lengths foresees a violation where a service has so many requests in flight: a model that anybody can check.
type lengths float64

func (lengths) Fits(*foresail.App) error { return nil }
func (lengths) Beats() int               { return 2 }
func (lengths) Within() time.Duration    { return 500 * time.Millisecond }
func (lengths) Needs() foresail.Signals  { return foresail.SignalInFlight }
func (l lengths) Foresee(beats []*foresail.Snapshot, culprit []float64) (seer.Verdict, error) {
	most := 0.0
	for i := range culprit {
		v := beats[1].Services[i].InFlight.Last
		culprit[i] = v / (1 + v)
		most = max(most, v)
	}
	return seer.Verdict{Violation: min(most/float64(l)/2, 1), Alarm: most >= float64(l)}, nil
}

// What the wrapper holds beyond what there would be is what it says it raised; a run that is made twice is the same.
func TestRun(t *testing.T) {
	bp, err := appfile.ReadApp("social-network")
	if err != nil {
		t.Fatal(err)
	}
	o := seeing.Operation{Blueprint: bp, Low: 150, High: 200, Every: 50 * time.Second, Traced: 1, Duration: 2 * time.Minute, Kinds: []fault.Kind{fault.CPUContention}}
	once := func(foreseen bool) *managed {
		m, err := run(t.Context(), o, 7, func(app *foresail.App) (foresail.Manager, error) {
			m, err := managers.Build("static", app, managers.Options{})
			if err != nil || !foreseen {
				return m, err
			}
			return seer.New(m, lengths(25), seer.Config{})
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	alone, a, b := once(false), once(true), once(true)
	if len(a.dangers) == 0 || len(alone.dangers) > 0 {
		t.Fatalf("%d dangers, and %d without a wrapper", len(a.dangers), len(alone.dangers))
	}
	for i, d := range a.dangers {
		if !d.to.After(d.from) || d.extra <= 0 || d != b.dangers[i] {
			t.Errorf("%+v, and again %+v", d, b.dangers[i])
		}
	}
	if more := a.cores - alone.cores; more <= 0 || more < 0.9*a.extra() || more > 1.2*a.extra() { // a beat passes until what is asked for is there
		t.Errorf("%.1f core-seconds more were held, and %.1f were raised", more, a.extra())
	}
	if len(alone.Faults) != 2 || len(a.Faults) != 2 || alone.Faults[0] != a.Faults[0] {
		t.Errorf("faults are %v and %v", alone.Faults, a.Faults)
	}
	t.Logf("episodes alone %d, wrapped %d", len(alone.Run.Episodes), len(a.Run.Episodes))
}

func TestFaultsOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "acting.yaml")
	if err := os.WriteFile(path, []byte(`
application: social-network
managers: [hpa, nobody]
baseline: none
low: 300
high: 200
runs: 0
each: 1h
seed: 1
causes: [rain]
foresee: {acts: {factor: 0.5, few: -1}, tea: 1}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Read(path)
	if !cli.IsUsage(err) {
		t.Fatal(err)
	}
	for _, want := range []string{"managers[1]", "nobody", "baseline", "low", "runs", "causes[0]", "rain", "foresee.acts", "Factor", "Few", "foresee.tea"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %s in\n%v", want, err)
		}
	}
}

// A model that is missing, and one that is none.
func TestNoModel(t *testing.T) {
	f := File{Application: "media", Managers: []string{"hpa"}, Runs: 1, Each: time.Minute, Seed: 1, Low: 1, High: 2}
	for path, want := range map[string]string{filepath.Join(t.TempDir(), "none.fsm"): "foresail train seer", "doc.go": "doc.go"} {
		f.Foresee.Model = path
		if _, err := f.Measure(t.Context(), nil); err == nil || !strings.Contains(err.Error(), want) || !cli.IsUsage(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := (&File{Application: "nowhere"}).Measure(t.Context(), nil); err == nil || errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
}
