package training_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"
	"pgregory.net/rapid"

	"foresail.dev/cmd/foresail/training"
	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/csvfile"
	"foresail.dev/model/forecast/neural"
	"foresail.dev/telemetry/store/bucket"
)

// said is a source of waves, each with a level of its own, and of what a test puts beside them.
type said map[string]forecast.Series

func (s said) String() string { return "a test" }
func (s said) Services() (names []string) {
	for n := range s {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (s said) Series(ctx context.Context, service string) (forecast.Series, csvfile.Repairs, error) {
	if s[service].Values == nil {
		return forecast.Series{}, csvfile.Repairs{}, errors.New("line 3: is not CSV")
	}
	return s[service], csvfile.Repairs{}, ctx.Err()
}

func wave(level float64, n int) forecast.Series {
	s := forecast.Series{Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), Step: time.Minute}
	for i := range n {
		s.Values = append(s.Values, math.Round(level*(2+math.Sin(float64(i)/7))+float64(i*7919%13)))
	}
	return s
}

func waves(services, n int) said {
	s := said{}
	for i := range services {
		s[fmt.Sprintf("service-%d", i)] = wave(float64(50+20*i), n)
	}
	return s
}

func run(t testing.TB, b *bucket.Bucket, source training.Source, change func(*training.Run)) (*training.Run, error) {
	t.Helper()
	r := &training.Run{Source: source, Bucket: b, Settings: training.Settings{Application: "shop", Method: neural.Madu, N: 8, M: 2, Start: training.Shared, Steps: 3,
		PoolSteps: 3, PoolSize: 4, Holdout: 30 * time.Minute, Seed: 5}}
	if change != nil {
		change(r)
	}
	err := r.Do(t.Context())
	return r, err
}

func memory() *bucket.Bucket { return bucket.Of(memblob.OpenBucket(nil), "memory") }

func files(t testing.TB, b *bucket.Bucket) map[string]string {
	t.Helper()
	all, err := b.Models(t.Context(), "shop", "forecast/madu/n8-m2")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range all {
		_, _, data, err := b.Get(t.Context(), e.Name)
		if err != nil {
			t.Fatal(err)
		}
		out[e.String()] = string(data)
	}
	return out
}

// Every model is the same whatever the number of workers and shards, and whether or not others can be trained.
func TestModelsHangOnTheirServiceAlone(t *testing.T) {
	whole := waves(7, 200)
	b := memory()
	if _, err := run(t, b, whole, nil); err != nil {
		t.Fatal(err)
	}
	want := files(t, b)
	if len(want) != 8 {
		t.Fatalf("%d models of 7 services and one shared", len(want))
	}
	for _, shards := range []int{2, 3, 5} {
		b := memory()
		rows := 0
		for i := range shards {
			r, err := run(t, b, whole, func(r *training.Run) { r.Shard, r.Workers = training.Shard{Index: i, Count: shards}, 1+i })
			if err != nil {
				t.Fatal(err)
			}
			rows += len(r.Rows)
		}
		if got := files(t, b); rows != 7 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d shards: %d services, models differ: %v", shards, rows, fmt.Sprint(got) != fmt.Sprint(want))
		}
	}
	with := waves(7, 200)
	with["broken"], with["few"], with["level"] = forecast.Series{}, wave(3, 10), forecast.Series{Start: wave(1, 1).Start, Step: time.Minute, Values: make([]float64, 300)}
	b = memory()
	r, err := run(t, b, with, nil)
	if err != nil || len(r.Rows) != 10 {
		t.Fatal(len(r.Rows), err)
	}
	for name, data := range files(t, b) {
		if !strings.Contains(name, `"shop" `) && want[name] != data {
			t.Error(name, "differs beside services that can't be trained")
		}
	}
	if r.Verdict(false) != nil || r.Verdict(true) == nil {
		t.Error("three services could not be trained, which is a failure only where that is asked for")
	}
}

// What is there as a whole is not trained again; what was cut off is.
func TestOnlyWhatIsMissingIsTrained(t *testing.T) {
	b, source := memory(), waves(5, 200)
	first, err := run(t, b, source, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := files(t, b)
	n := bucket.Name{Application: "shop", Kind: "forecast/madu/n8-m2", Service: "service-2", Version: first.Rows[2].Version}
	if err := b.Remove(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	second, err := run(t, b, source, nil)
	if err != nil || fmt.Sprint(files(t, b)) != fmt.Sprint(want) {
		t.Fatal(err, "or another model")
	}
	for i, row := range second.Rows {
		if row.Again != (i != 2) || row.SHA256 != first.Rows[i].SHA256 || row.Accuracy == nil || *row.Accuracy != *first.Rows[i].Accuracy || row.TrainRows != 170 || row.Steps != 3 {
			t.Errorf("%+v", row)
		}
	}
	if forced, err := run(t, b, source, func(r *training.Run) { r.Force = true }); err != nil || forced.Rows[0].Again || fmt.Sprint(files(t, b)) != fmt.Sprint(want) {
		t.Error(err, forced.Rows)
	}
}

// With more data, training goes on from the stored model of the service; interrupted and begun again, from the same one.
func TestTrainingGoesOnFromWhatIsStored(t *testing.T) {
	b, source := memory(), waves(4, 300)
	short := said{}
	for name, s := range source {
		short[name] = s.Slice(0, 200)
	}
	delete(short, "service-3")
	first, err := run(t, b, short, nil)
	if err != nil {
		t.Fatal(err)
	}
	stored := func(r *training.Run) { r.Settings.Start = training.Stored }
	second, err := run(t, b, source, stored)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range second.Rows {
		want := "shared "
		if i < 3 {
			want = "stored " + first.Rows[i].Version
		}
		if !strings.HasPrefix(row.Start, want) || row.Again {
			t.Errorf("%s begins from %q, want %q", row.Service, row.Start, want)
		}
	}
	again, err := run(t, b, source, stored)
	if err != nil || !again.Rows[0].Again || again.Rows[0].Version != second.Rows[0].Version {
		t.Errorf("%+v, %v", again.Rows[0], err)
	}
}

// A series with too many gaps is told by them, not by a number of values that would do.
func TestGapsAreTold(t *testing.T) {
	source := waves(3, 200)
	for i := range source["service-1"].Values {
		if i%2 == 0 {
			source["service-1"].Values[i] = math.NaN()
		}
	}
	r, err := run(t, memory(), source, nil)
	if want := "gaps leave 0 windows of 8 steps with 2 observed steps after them, too few to learn from; 64 would do (30 more steps are held out)"; err != nil || r.Rows[1].Skipped != want {
		t.Error(r.Rows[1].Skipped, err)
	}
}

func TestFromScratch(t *testing.T) {
	scratch, err := run(t, memory(), waves(3, 200), func(r *training.Run) { r.Settings.Start = training.Scratch })
	if err != nil || scratch.Rows[0].Start != "scratch" || scratch.Detail(0).Shared != "" {
		t.Error(err, scratch.Rows)
	}
	two, err := run(t, memory(), waves(2, 200), nil) // too few to share anything
	if err != nil || two.Rows[0].Start != "scratch" {
		t.Error(err, two.Rows)
	}
}

// What was held out is not learnt from: another end of the series comes to the same weights, and another accuracy.
func TestNothingIsLearntFromWhatIsHeldOut(t *testing.T) {
	source, other := waves(3, 200), waves(3, 200)
	for i := 170; i < 200; i++ {
		other["service-0"].Values[i] *= 3
	}
	a, b := memory(), memory()
	first, err := run(t, a, source, nil)
	second, err2 := run(t, b, other, nil)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if fmt.Sprint(files(t, a)) != fmt.Sprint(files(t, b)) || *first.Rows[0].Accuracy == *second.Rows[0].Accuracy || first.Rows[0].HeldOut != 30 {
		t.Error(first.Rows[0], second.Rows[0])
	}
}

func TestAStoppedRunSaysHowToGoOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := &training.Run{Source: waves(6, 200), Bucket: memory(), Workers: 1, Settings: training.Settings{Application: "shop", Method: neural.Madu, N: 8, M: 2, Start: training.Scratch, Steps: 3}}
	r.Progress = func(float64, string) { cancel() }
	if err := r.Do(ctx); err == nil || !strings.Contains(err.Error(), "stopped after ") || len(r.Rows) == 6 {
		t.Error(err, len(r.Rows))
	}
}

// A bucket that can't be written ends the run, and is told with the service.
func TestABucketThatCantBeWritten(t *testing.T) {
	dir := t.TempDir()
	b, err := bucket.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := os.WriteFile(filepath.Join(dir, "models"), nil, 0o666); err != nil { // where a folder should be
		t.Fatal(err)
	}
	_, err = run(t, b, waves(3, 200), func(r *training.Run) { r.Settings.Start = training.Scratch })
	if err == nil || !strings.Contains(err.Error(), "models/shop/forecast/madu/n8-m2/service/service-") {
		t.Error(err)
	}
}

// Each service is one shard's, in about equal parts, whatever others there are.
func TestShardsShareServices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "shards")
		name := rapid.String().Draw(t, "service")
		owners := 0
		for i := range n {
			s, err := training.ParseShard(fmt.Sprintf("%d/%d", i, n))
			if err != nil {
				t.Fatal(err)
			}
			if s.Has(name) {
				owners++
			}
		}
		if owners != 1 {
			t.Fatal(owners, "owners")
		}
	})
	var count [8]int
	for i := range 1000 {
		for k := range count {
			if (training.Shard{Index: k, Count: 8}).Has(fmt.Sprintf("service-%04d", i)) {
				count[k]++
			}
		}
	}
	if slices.Min(count[:]) < 95 || slices.Max(count[:]) > 155 {
		t.Error(count)
	}
	for _, bad := range []string{"", "1", "8/8", "-1/8", "0/0", "a/b", "0/99999", "1/2/3"} {
		if s, err := training.ParseShard(bad); err == nil {
			t.Errorf("%q is %v", bad, s)
		}
	}
}
