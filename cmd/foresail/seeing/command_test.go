package seeing

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/fault"
)

// What is learnt from little is measured all the same: each detector has a row of all causes, and one of each cause, for the kinds of
// faults that were learnt from, and for those that nobody has learnt from alone. The same file gives the same.
func TestMeasureInSmall(t *testing.T) {
	f := File{Applications: []application{{Application: "social-network", Low: 80, High: 160}}, Train: stretch{2, 8 * time.Minute, 1}, Test: stretch{1, 6 * time.Minute, 1001},
		Absent: []fault.Kind{fault.CPUContention, fault.SlowDisk}, Networks: []string{"cnn"}, Epochs: 1}
	f.defaults()
	rows, err := f.Measure(context.Background(), func(float64, string) {})
	if err != nil {
		t.Fatal(err)
	}
	episodes := map[[2]string]int{}
	for _, r := range rows {
		if !(r.Recall >= 0 && r.Recall <= 1) || r.Precision != nil && !(*r.Precision >= 0 && *r.Precision <= 1) || (r.Network == "cnn") != (r.Infer > 0) {
			t.Errorf("%+v", r)
		}
		left := r.Cause == fault.CPUContention.String() || r.Cause == fault.SlowDisk.String()
		switch {
		case r.Cause == "all":
			episodes[[2]string{r.Network, r.Faults}] += r.Episodes
			continue
		case r.Cause != "load" && left != (r.Faults == "absent"):
			t.Errorf("%s is among the %s faults", r.Cause, r.Faults)
		}
		episodes[[2]string{r.Network, r.Faults}] -= r.Episodes
	}
	if len(episodes) != 6 {
		t.Errorf("detectors are %v", episodes)
	}
	for name, n := range episodes {
		if n != 0 {
			t.Errorf("%s: the causes have %d episodes fewer than all", name, n)
		}
	}
}

func TestFaultsOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seer.yaml")
	if err := os.WriteFile(path, []byte(`
applications: [{application: social-network, low: 300, high: 200}, {low: 1, high: 2, random: {services: 2, seed: 1}, train: {runs: 9, each: 1h, seed: 1}}, {low: 1, high: 2}]
absent: [node-lost]
train: {runs: 1, each: 10s, seed: 5}
test: {runs: 3, each: 1h, seed: 3}
networks: [cnn, perceptron]
signals: [smoke]
windows: [10ms]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	var f File
	err := appfile.ReadFile(path, &f)
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"networks[1]", "perceptron", "signals[0]", "windows[0]", "applications[0].low", "train.runs", "train.each", "train.seed", "applications[1].random.services", "applications[1].train.seed", "applications[2]", "absent[0]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %s in\n%v", want, err)
		}
	}
}

// Every wrong flag is told at once, before anything is simulated.
func TestFaultsOfFlags(t *testing.T) {
	c := NewTrain()
	c.SetArgs([]string{"--app", "nowhere", "--out", filepath.Join(t.TempDir(), "m"), "--low", "9", "--high", "3", "--runs", "1", "--each", "1s", "--traced", "2", "--network", "x", "--epochs", "0"})
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.Execute()
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"nowhere", "--low", "--runs", "--each", "--traced", "network", "epochs"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %s in\n%v", want, err)
		}
	}
}
