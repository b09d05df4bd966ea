package petshop_test

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"foresail.dev"
	"foresail.dev/telemetry/petshop"
	"foresail.dev/telemetry/source"
)

// shared is the data set, kept outside of the project.
const shared = "../../../shared/data/petshop/low_traffic"

func ExampleReader() {
	c := source.NewCollector(source.Options{})
	r := petshop.NewReader(c)
	err := r.File(strings.NewReader(`microservice,PetSite,PetSite,PetSite,PetSite
metric,latency,latency,requests,availability
statistic,Average,p50,Sum,Average
unix_timestamp,,,,
1692608400.0,0.5,0.25,200.0,98.0
1692608700.0,,,100.0,
`))
	sum, err2 := c.Finish()
	fmt.Println(err, r.Finish(), err2)
	for _, row := range sum.Rows() {
		fmt.Printf("%s %s: %.0f requests, %.0f failed, mean %.0f ms\n", row.Kind, row.Service, *row.Calls, *row.Errors, *row.Mean)
	}
	// Output:
	// <nil> <nil> <nil>
	// service PetSite: 300 requests, 4 failed, mean 500 ms
}

// sums are what an independent reading of the data set gives.
type sums struct {
	requests, errors, weighted float64 // weighted: mean × requests that did not fail, seconds
	p50                        map[int64]float64
}

func independent(t *testing.T) (map[string]*sums, map[int64]bool) {
	t.Helper()
	out, times := map[string]*sums{}, map[int64]bool{}
	err := filepath.WalkDir(shared, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "metrics.csv.gz" {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		rows, err := csv.NewReader(z).ReadAll()
		if err != nil {
			return err
		}
		for _, row := range rows[4:] {
			at, _ := strconv.ParseFloat(row[0], 64)
			times[int64(at)] = true
			of := map[string]map[string]float64{}
			for i := 1; i < len(row); i++ {
				name := rows[0][i]
				if of[name] == nil {
					of[name] = map[string]float64{}
				}
				if v, err := strconv.ParseFloat(row[i], 64); err == nil {
					of[name][rows[1][i]+rows[2][i]] = v
				}
			}
			for name, v := range of {
				if out[name] == nil {
					out[name] = &sums{p50: map[int64]float64{}}
				}
				s := out[name]
				n, failed := v["requestsSum"], 0.0
				if a, ok := v["availabilityAverage"]; ok {
					failed = n * (1 - a/100)
				}
				s.requests += n
				s.errors += failed
				s.weighted += (n - failed) * v["latencyAverage"]
				if p, ok := v["latencyp50"]; ok && n-failed > 0 {
					s.p50[int64(at)] = p
				}
			}
		}
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the shared data is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out, times
}

// What the reader makes of the whole data set is what an independent count finds in it.
func TestTheDataSet(t *testing.T) {
	want, times := independent(t)
	if len(want) != 42 || len(times) != 719 {
		t.Fatalf("%d components and %d rows are in the data", len(want), len(times))
	}
	medians := 0
	c := source.NewCollector(source.Options{Snapshots: func(app *foresail.App, s *foresail.Snapshot) error {
		if s.Duration() != petshop.Interval || !times[s.Start.Unix()] {
			t.Errorf("a snapshot from %v to %v", s.Start, s.End)
		}
		for i := range s.Services {
			st := &s.Services[i]
			p50, ok := want[app.Services[i].Name].p50[s.Start.Unix()]
			if ok != st.Has.Has(foresail.SignalLatency) {
				t.Fatalf("%s at %v: %v", app.Services[i].Name, s.Start, st.Has)
			}
			if got := st.Latency.Quantile(0.5); ok && math.Abs(got-p50) > 0.045*p50 {
				t.Errorf("%s at %v: the median is %g s, want %g", app.Services[i].Name, s.Start, got, p50)
			}
			if ok {
				medians++
			}
		}
		return nil
	}})
	r := petshop.NewReader(c)
	err := source.Walk([]string{shared}, nil, func(name string) bool { return strings.Contains(name, ".csv") }, func(_ string, in io.Reader) error {
		return r.File(in)
	})
	sum, err2 := c.Finish()
	if err := errors.Join(err, r.Finish(), err2); err != nil || sum.Faults.Count != 0 || sum.Snapshots != 719 {
		t.Fatalf("%v, %v, %d snapshots", err, sum.Faults.String(), sum.Snapshots)
	}
	services, edges := 0, 0
	for _, row := range sum.Rows() {
		if row.Kind == "edge" {
			edges++
			continue
		}
		services++
		w := want[row.Service]
		if w.requests == 0 {
			continue
		}
		if math.Abs(*row.Calls-w.requests) > 1e-6 || row.Errors != nil && math.Abs(*row.Errors-w.errors) > 1e-6 {
			t.Errorf("%s: %g requests, want %g", row.Service, *row.Calls, w.requests)
		}
		if mean := 1000 * w.weighted / (w.requests - w.errors); row.Mean != nil && math.Abs(*row.Mean-mean) > 1e-6*mean {
			t.Errorf("%s: the mean is %g ms, want %g", row.Service, *row.Mean, mean)
		}
	}
	if services != 42 || edges != 44 || medians < 10_000 {
		t.Errorf("%d services, %d edges, %d medians", services, edges, medians)
	}
}

const head = "microservice,a,a\nmetric,latency,requests\nstatistic,p50,Sum\nunix_timestamp,,\n"

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"no time":    {head + "now,1,2\n", "line 5: unix_timestamp"},
		"fields":     {head + "1692608400,1\n", "line 5: 2 fields"},
		"a word":     {head + "1692608400,fast,2\n", `"fast" is not a number`},
		"below zero": {head + "1692608400,-1,2\n", "below zero"},
		"twice":      {head + "1692608400,1,2\n1692608400,1,2\n", "line 6: the time 1692608400 was told before"},
		"a matrix":   {",a\nb,x\n", "is not a number"},
	} {
		c2 := source.NewCollector(source.Options{})
		if err := petshop.NewReader(c2).File(strings.NewReader(c.in)); err != nil || c2.Faults().Count != 1 || !strings.Contains(c2.Faults().String(), c.want) {
			t.Errorf("%s: %v, %v", name, err, c2.Faults().String())
		}
	}
	for _, in := range []string{"", "a,b\n", head[:30], strings.Replace(head, ",Sum", "", 1), "microservice,\nmetric,\nstatistic,\nunix_timestamp,\n"} {
		if err := petshop.NewReader(source.NewCollector(source.Options{})).File(strings.NewReader(in)); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(head + "1692608400.0,0.1,20\n"))
	f.Add([]byte(",a,b\na,0,1\nb,0,0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := source.NewCollector(source.Options{Snapshots: func(app *foresail.App, s *foresail.Snapshot) error {
			for i := range s.Services {
				if u := &s.Services[i].Usage; u.Errors > u.Completions || u.Latency.Count() > u.Completions*1.000001 {
					t.Fatalf("%+v", u)
				}
			}
			return nil
		}})
		r := petshop.NewReader(c)
		_ = r.File(strings.NewReader(string(b)))
		if err := r.Finish(); err != nil {
			t.Fatal(err)
		}
		sum, err := c.Finish()
		if err != nil {
			t.Fatal(err)
		}
		sum.Rows()
	})
}
