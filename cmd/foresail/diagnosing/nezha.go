package diagnosing

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"foresail.dev/model/diagnose/culprits"
	"foresail.dev/model/diagnose/rank"
	"foresail.dev/telemetry/nezha"
	"foresail.dev/telemetry/source"
)

// Defaults for Nezha's data: a fault is there for three minutes.
const (
	nezhaDuration = 3 * time.Minute
	nezhaNormal   = 60
	aftermath     = 3 // minutes after an issue that are not normal yet
)

// fault is one entry of Nezha's lists.
type fault struct {
	At   string `json:"inject_timestamp"`
	Pod  string `json:"inject_pod"`
	Type string `json:"inject_type"`
	at   int64
}

// readNezha reads a folder with files of metrics and lists of faults (….fault_list.json), wherever below it they are.
func readNezha(d dataset) (out Dataset, err error) {
	out.Name = d.Name
	v := nezha.NewValues()
	var faults []fault
	err = filepath.WalkDir(d.Folder, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		switch name := e.Name(); {
		case strings.HasSuffix(name, "fault_list.json"):
			some, err := readFaults(p, &out)
			faults = append(faults, some...)
			return err
		case nezhaMetrics(name):
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			var unreadable source.Faults
			if err := v.File(name, f, &unreadable); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			if unreadable.Count > 0 {
				out.note("%s: %s", p, unreadable.String())
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return out, err
	case len(v.Minutes) == 0:
		return out, fmt.Errorf("%s: there are no metrics below it (…_metric.csv): %w", d.Folder, fs.ErrNotExist)
	case len(faults) == 0:
		return out, fmt.Errorf("%s: there is no fault in a …fault_list.json below it%s", d.Folder, because(out.Notes))
	}
	return out, d.nezhaCases(v, faults, &out)
}

func nezhaMetrics(name string) bool {
	for _, part := range []string{"_metric.csv", "front_service.csv", "dependency.csv", nezha.CallClient + ".csv", nezha.CallServer + ".csv"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

func readFaults(path string, out *Dataset) (all []fault, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	hours := map[string][]fault{}
	if err := json.Unmarshal(text, &hours); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for hour, list := range hours {
		for i, f := range list {
			if f.at, err = strconv.ParseInt(f.At, 10, 64); err != nil || f.Pod == "" {
				out.note("%s: fault %d of hour %s is left out: inject_timestamp %q, inject_pod %q", path, i+1, hour, f.At, f.Pod)
				continue
			}
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b fault) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.Pod, b.Pod)) })
	return all, nil
}

// nezhaCases makes a case of each fault: the minutes that ended during it, beside those minutes nearest to it in which, and
// shortly after which, there was no fault.
func (d dataset) nezhaCases(v *nezha.Values, faults []fault, out *Dataset) error {
	minutes := int64(cmp.Or(d.Duration, nezhaDuration) / time.Minute)
	want := cmp.Or(d.Normal, nezhaNormal)
	upset := map[int64]bool{}
	for _, f := range faults {
		for m := f.at / 60; m <= f.at/60+minutes+aftermath; m++ {
			upset[m] = true
		}
	}
	var quiet []int64
	for m := range v.Minutes {
		if !upset[m] {
			quiet = append(quiet, m)
		}
	}
	slices.Sort(quiet)
	for _, f := range faults {
		name := fmt.Sprintf("%s %s %s", time.Unix(f.at, 0).UTC().Format("2006-01-02T15:04:05Z"), nezha.Service(f.Pod), f.Type)
		var issue []int64
		for m := f.at/60 + 1; m <= f.at/60+minutes; m++ {
			if v.Minutes[m] {
				issue = append(issue, m)
			}
		}
		normal := nearest(quiet, f.at/60, want)
		in, err := nezhaInput(v, d.Front, normal, issue)
		if err != nil {
			return err
		}
		if err := in.Check(); err != nil {
			out.note("%s is left out: %v", name, err)
			continue
		}
		culprit := nezha.Service(f.Pod)
		if !slices.ContainsFunc(in.Services, func(s rank.Service) bool { return s.Name == culprit }) {
			out.note("%s: its culprit is nowhere in the data, and so found by nobody", name)
		}
		out.Cases = append(out.Cases, culprits.Case{Name: name, Input: in, Culprit: culprit})
	}
	return nil
}

// nearest are the n of minutes, which are sorted, that are nearest to one; sorted.
func nearest(minutes []int64, to int64, n int) []int64 {
	near := slices.Clone(minutes)
	slices.SortStableFunc(near, func(a, b int64) int { return cmp.Compare(max(a-to, to-a), max(b-to, to-b)) })
	near = near[:min(n, len(near))]
	slices.Sort(near)
	return near
}

func nezhaInput(v *nezha.Values, front string, normal, issue []int64) (in rank.Input, err error) {
	take := func(c nezha.Column, scale float64) rank.Series {
		s, ok := v.Series[c]
		if !ok {
			return rank.Series{}
		}
		pick := func(minutes []int64) []float64 {
			out := make([]float64, len(minutes))
			for i, m := range minutes {
				x, ok := s[m]
				if out[i] = x * scale; !ok {
					out[i] = math.NaN()
				}
			}
			return out
		}
		return rank.Series{Normal: pick(normal), Issue: pick(issue)}
	}
	ids := map[string]int{}
	for c := range v.Series {
		if c.Callee == "" && c.Metric == "podworkload(ops)" {
			ids[c.Service] = -1
		}
	}
	for e := range v.Calls {
		ids[e[0]], ids[e[1]] = -1, -1
	}
	for name := range ids {
		ids[name] = len(in.Services)
		of := func(metric string, scale float64) rank.Series {
			return take(nezha.Column{Service: name, Metric: metric}, scale)
		}
		s := rank.Service{Name: name, Requests: of("podworkload(ops)", 60), Tail: of("podserverlatencyp90(s)", 1), CPU: of("cpuusage(m)", 0.001)}
		in.Services = append(in.Services, s)
	}
	seen := make([][]rank.Series, len(in.Services)) // medians of how long a service took to answer each of its callers
	for e := range v.Calls {
		c := rank.Call{From: ids[e[0]], To: ids[e[1]], Client: take(nezha.Column{Service: e[0], Callee: e[1], Metric: nezha.CallClient}, 1),
			Server: take(nezha.Column{Service: e[0], Callee: e[1], Metric: nezha.CallServer}, 1)}
		in.Calls = append(in.Calls, c)
		if len(c.Server.Issue) > 0 {
			seen[c.To] = append(seen[c.To], c.Server)
		}
	}
	for i := range in.Services {
		in.Services[i].Latency = middle(seen[i], len(normal), len(issue))
	}
	// What users saw is of the front, whose own pods measure no median.
	if front = cmp.Or(front, usersOf(v, ids)); front == "" {
		in.Front = in.Top()
	} else {
		var ok bool
		if in.Front, ok = ids[front]; !ok {
			return in, fmt.Errorf("front: no service is called %q", front)
		}
	}
	if name := users(v); name != "" && in.Front >= 0 {
		s := &in.Services[in.Front]
		s.Latency = take(nezha.Column{Service: name, Metric: "latencyp50(s)"}, 1)
		s.Errors = failing(take(nezha.Column{Service: name, Metric: "successrate(%)"}, 1))
	}
	return in, nil
}

// users is the name under which the table of what users saw tells it, the first of several; empty where there is none.
func users(v *nezha.Values) (name string) {
	for c := range v.Series {
		if c.Metric == "successrate(%)" && (name == "" || c.Service < name) {
			name = c.Service
		}
	}
	return name
}

// usersOf is that name where it is a service's.
func usersOf(v *nezha.Values, ids map[string]int) string {
	name := users(v)
	if _, ok := ids[name]; !ok {
		return ""
	}
	return name
}

// middle is the mean of series, row by row, over those that have a value.
func middle(all []rank.Series, normal, issue int) rank.Series {
	if len(all) == 0 {
		return rank.Series{}
	}
	mean := func(n int, of func(rank.Series) []float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			var values []float64
			for _, s := range all {
				if v := of(s)[i]; !math.IsNaN(v) {
					values = append(values, v)
				}
			}
			slices.Sort(values) // so that their order changes nothing
			sum := 0.0
			for _, v := range values {
				sum += v
			}
			out[i] = sum / float64(len(values))
		}
		return out
	}
	return rank.Series{Normal: mean(normal, func(s rank.Series) []float64 { return s.Normal }), Issue: mean(issue, func(s rank.Series) []float64 { return s.Issue })}
}
