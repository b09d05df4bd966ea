package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"foresail.dev/load"
)

// seriesOf writes series of so many minutes for each service.
func seriesOf(t testing.TB, dir string, services, minutes int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range services {
		text := "time,calls\n"
		for k, v := range load.Minutes(uint64(i), 1+minutes/1440, load.Place{InDegree: 2, Probability: 0.7})[:minutes] {
			text += fmt.Sprintf("%d,%g\n", 1767571200+60*k, v)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("service-%d.csv", i)), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// quickly are flags that teach networks next to nothing.
var quickly = []string{"--application", "shop", "--window", "8", "--ahead", "2", "--steps", "4", "--shared-steps", "6", "--shared-services", "4"}

// modelsIn reads all model files of a folder.
func modelsIn(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".model") {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		found[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Eight processes that start at once on one bucket make the models that one process makes alone, byte for byte, the shared model
// among them once.
func TestEightShardsMakeWhatOneDoes(t *testing.T) {
	dir := t.TempDir()
	seriesOf(t, filepath.Join(dir, "calls"), 12, 240)
	args := append([]string{"train", "-f", filepath.Join(dir, "calls"), "--json"}, quickly...)
	if out, err := program(t, slices.Concat(args, []string{"--models", filepath.Join(dir, "one")})...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const shards = 8
	var all [shards]*exec.Cmd
	var out, complaints [shards]bytes.Buffer
	for i := range all {
		extra, env := []string{"--models", filepath.Join(dir, "eight"), "--shards", "8"}, []string{fmt.Sprint("JOB_COMPLETION_INDEX=", i)}
		if i%2 == 1 { // one way to say it, and the other
			extra, env = []string{"--models", "file://" + filepath.Join(dir, "eight"), "--shard", fmt.Sprintf("%d/8", i)}, nil
		}
		all[i] = program(t, slices.Concat(args, extra)...)
		all[i].Env = append(os.Environ(), env...)
		all[i].Stdout, all[i].Stderr = &out[i], &complaints[i]
		if err := all[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	sharers := 0
	for i := range all {
		if err := all[i].Wait(); err != nil {
			t.Fatalf("shard %d: %v: %s", i, err, complaints[i].String())
		}
		var res struct {
			Rows   []struct{ Service string }
			Detail struct {
				SharedS float64 `json:"shared_s"`
			}
		}
		if err := json.Unmarshal(out[i].Bytes(), &res); err != nil {
			t.Fatal(err)
		}
		for _, r := range res.Rows {
			seen[r.Service]++
		}
		if res.Detail.SharedS > 0 {
			sharers++
		}
	}
	if len(seen) != 12 || slices.Max(slices.Collect(maps.Values(seen))) != 1 || sharers != 1 {
		t.Errorf("services by how many shards trained them: %v; the shared model by %d", seen, sharers)
	}
	one, eight := modelsIn(t, filepath.Join(dir, "one")), modelsIn(t, filepath.Join(dir, "eight"))
	if len(one) != 13 || !maps.Equal(one, eight) {
		t.Errorf("%d models of one process, %d of eight; equal: %v", len(one), len(eight), maps.Equal(one, eight))
	}
}

// A process that is killed in the middle goes on from what is finished.
func TestTrainingGoesOnAfterAKill(t *testing.T) {
	dir := t.TempDir()
	seriesOf(t, filepath.Join(dir, "calls"), 8, 240)
	models := filepath.Join(dir, "models")
	args := append([]string{"train", "-f", filepath.Join(dir, "calls"), "--models", models, "--workers", "1"}, quickly...)
	slow := program(t, append(args, "--steps", "40")...)
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); len(modelsIn(t, dir)) < 3 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	_ = slow.Process.Kill()
	_ = slow.Wait()
	before := modelsIn(t, models)
	var out bytes.Buffer
	again := program(t, append(args, "--steps", "40", "--json")...)
	again.Stdout = &out
	if err := again.Run(); err != nil {
		t.Fatal(err)
	}
	var res struct {
		Detail struct{ Trained, Again int }
	}
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		t.Fatal(err)
	}
	if n := len(before); n < 3 || res.Detail.Again < n-1 || res.Detail.Trained+res.Detail.Again != 8 {
		t.Errorf("%d models when it was killed; then %+v", n, res.Detail)
	}
	for name, data := range before {
		if after := modelsIn(t, models)[name]; after != data {
			t.Errorf("%s has changed", name)
		}
	}
	var exit *exec.ExitError
	if err := program(t, append(args, "--shards", "3")...).Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("--shards without a shard: %v", err)
	}
}

// The manifest in deploy/ calls this program as it is: its flags are read, and its shards are as many as its completions.
func TestTheJobsManifest(t *testing.T) {
	data, err := os.ReadFile("../../deploy/train-job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var job struct {
		Spec struct {
			CompletionMode string `yaml:"completionMode"`
			Completions    int    `yaml:"completions"`
			Template       struct {
				Spec struct {
					Containers []struct{ Args []string }
				}
			}
		}
	}
	if err := yaml.Unmarshal(data, &job); err != nil {
		t.Fatal(err)
	}
	args := job.Spec.Template.Spec.Containers[0].Args
	c := newTrain()
	if err := c.ParseFlags(args[1:]); err != nil || args[0] != c.Name() {
		t.Fatal(args, err)
	}
	shards, _ := c.Flags().GetInt("shards")
	if job.Spec.CompletionMode != "Indexed" || shards != job.Spec.Completions {
		t.Errorf("%s, %d completions and %d shards", job.Spec.CompletionMode, job.Spec.Completions, shards)
	}
	if err := c.Args(c, c.Flags().Args()); err != nil {
		t.Error(err)
	}
}
