package erms_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"foresail.dev/plan/erms"
)

// published is what the authors' artefact has: call trees and fits of three applications, and twelve cases of its scaler with
// all that goes in and all that comes out.
const published = "../../../shared/data/erms"

type referenceCase struct {
	App       string
	Mode      string
	CPU       float64                       `json:"cpu_inter"`
	Memory    float64                       `json:"mem_inter"`
	Workloads map[string]map[string]float64 // requests a minute by service; the one that counts is "default"
	SLAs      map[string]float64            // microseconds
	Targets   []struct {
		Service, Parent, Microservice, Type string
		A, B, Workload, Inflection          float64
		Target                              float64 `json:"latency_target"`
		Containers                          float64 `json:"container"`
		MergedA                             float64 `json:"merged_a"`
		MergedB                             float64 `json:"merged_b"`
	} `json:"latency_targets"`
	Containers map[string]float64
}

// rows reads one of the published tables.
func rows(t testing.TB, file string) []map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(published, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, r := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = r[i]
		}
		out = append(out, row)
	}
	return out
}

func number(t testing.TB, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// names numbers microservices.
type names []string

func (n *names) of(name string) int {
	if i := slices.Index(*n, name); i >= 0 {
		return i
	}
	*n = append(*n, name)
	return len(*n) - 1
}

// requests are the kinds of requests that a case has, and what they are called.
func (c *referenceCase) requests(t testing.TB, ms *names) (out []erms.Request, services []string) {
	fits := map[string]map[string]map[string]erms.Fit{} // service, microservice, type
	for _, r := range rows(t, "latency-models.csv") {
		if r["app"] != c.App {
			continue
		}
		of := fits[r["service"]]
		if of == nil {
			of = map[string]map[string]erms.Fit{}
			fits[r["service"]] = of
		}
		if of[r["microservice"]] == nil {
			of[r["microservice"]] = map[string]erms.Fit{}
		}
		of[r["microservice"]][r["type"]] = erms.Fit{CPU: number(t, r["a"]), Memory: number(t, r["b"]), Base: number(t, r["c"]), Bias: number(t, r["d"])}
	}
	at := map[string]map[string]int{} // service and tag to call
	children := map[string][]map[string]string{}
	for _, r := range rows(t, "span-relationships-"+c.App+".csv") {
		s := r["service"]
		if at[s] == nil {
			at[s] = map[string]int{}
			services = append(services, s)
			children[s+" root"] = []map[string]string{{"childMS": r["parentMS"], "tag": "", "step": "0"}}
		}
		parent, _, ok := cutLast(r["tag"])
		if !ok {
			parent = ""
		}
		children[s+" "+parent] = append(children[s+" "+parent], r)
	}
	for _, s := range services {
		r := erms.Request{SLA: c.SLAs[s], Workload: c.Workloads[s]["default"], Models: map[int]erms.Model{}}
		var lay func(rows []map[string]string, parent int)
		lay = func(rows []map[string]string, parent int) {
			var steps []string
			for _, row := range rows {
				if !slices.Contains(steps, row["step"]) {
					steps = append(steps, row["step"])
				}
			}
			for _, step := range steps {
				for _, row := range rows {
					if row["step"] == step {
						r.Calls = append(r.Calls, erms.Call{Microservice: ms.of(row["childMS"]), Parent: parent, Step: int(number(t, step))})
						lay(children[s+" "+row["tag"]], len(r.Calls)-1)
					}
				}
			}
		}
		root := children[s+" root"]
		r.Calls = append(r.Calls, erms.Call{Microservice: ms.of(root[0]["childMS"]), Parent: -1})
		lay(children[s+" "], 0)
		for name, f := range fits[s] {
			m := erms.NewModel(f["beforeInflection"].At(c.CPU, c.Memory), f["afterInflection"].At(c.CPU, c.Memory))
			if slices.Contains([]string{"nginx", "nginx-web-server", "frontend"}, name) {
				m = erms.Entry()
			}
			r.Models[ms.of(name)] = m
		}
		out = append(out, r)
	}
	return out, services
}

// cutLast splits a tag, as in 1.2.3, into that of its parent and its own number.
func cutLast(tag string) (parent, own string, ok bool) {
	i := strings.LastIndexByte(tag, '.')
	if i < 0 {
		return "", tag, false
	}
	return tag[:i], tag[i+1:], true
}

// The scaler gives what the published one gives: latency targets to a millionth, and containers exactly.
func TestTheTwelvePublishedCases(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(published, "scaling-reference.json"))
	if err != nil {
		t.Skipf("needs the published cases in %s: %v", published, err)
	}
	var cases []referenceCase
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	modes := map[string]erms.Sharing{"priority": erms.Priority, "non-priority": erms.Fair, "non_priority": erms.Fair}
	for i, c := range cases {
		t.Run(fmt.Sprintf("%d-%s", i, c.App), func(t *testing.T) {
			mode, ok := modes[c.Mode]
			if !ok {
				t.Fatalf("mode %q", c.Mode)
			}
			var ms names
			requests, services := c.requests(t, &ms)
			got := erms.Scale(requests, mode)
			type key struct{ service, parent, microservice string }
			next := map[string]int{}
			near := func(what string, k key, x, y float64) {
				if !(math.Abs(x-y) <= 1e-6*max(math.Abs(y), 1e-3)) {
					t.Errorf("%v: %s %v, want %v", k, what, x, y)
				}
			}
			for _, want := range c.Targets {
				r := slices.Index(services, want.Service)
				at := next[want.Service]
				next[want.Service]++
				call, of := requests[r].Calls[at], got.Targets[r][at]
				k := key{want.Service, "", ms[call.Microservice]}
				if call.Parent >= 0 {
					k.parent = ms[requests[r].Calls[call.Parent].Microservice]
				}
				if want.Microservice != k.microservice || want.Parent != k.parent {
					t.Fatalf("row %d of %s is %s below %q, want %s below %q", at, want.Service, k.microservice, k.parent, want.Microservice, want.Parent)
				}
				near("latency target", k, of.Latency, want.Target)
				near("workload", k, of.Workload, want.Workload)
				near("a", k, of.A, want.A)
				near("b", k, of.B, want.B)
				near("inflection", k, of.Model.Inflection, want.Inflection)
				near("merged a", k, of.MergedA, want.MergedA)
				near("merged b", k, of.MergedB, want.MergedB)
				if of.Containers != want.Containers || of.After != (want.Type == "after") {
					t.Errorf("%v: %v containers, after %v, want %v, %s", k, of.Containers, of.After, want.Containers, want.Type)
				}
			}
			for r, s := range services {
				if next[s] != len(requests[r].Calls) || !got.Feasible[r] {
					t.Errorf("%s: %d of %d rows, feasible %v", s, next[s], len(requests[r].Calls), got.Feasible[r])
				}
			}
			for name, want := range c.Containers {
				if n := got.Containers[ms.of(name)]; n != want {
					t.Errorf("%s: %v containers, want %v", name, n, want)
				}
			}
		})
	}
}
