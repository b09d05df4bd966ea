package diagnosing

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"foresail.dev/model/diagnose/culprits"
	"foresail.dev/model/diagnose/rank"
	"foresail.dev/telemetry/petshop"
	"foresail.dev/telemetry/source"
)

// readPetShop reads one kind of traffic of PetShop's: graph.csv, noissue/metrics.csv, and of each issue a folder with metrics.csv
// and target.json; any may be compressed.
func readPetShop(d dataset) (out Dataset, err error) {
	out.Name = d.Name
	var edges [][2]string
	err = open(d.Folder, "graph.csv", &out, func(in io.Reader, faults *source.Faults) (err error) {
		edges, err = petshop.ReadGraph(in, faults)
		return err
	})
	normal, err2 := readValues(filepath.Join(d.Folder, "noissue"), &out)
	if err := errors.Join(err, err2); err != nil {
		return out, err
	}
	folders, err := foldersWith(d.Folder, "target.json")
	if err != nil {
		return out, err
	}
	for _, folder := range folders {
		name, _ := filepath.Rel(d.Folder, folder)
		name = filepath.ToSlash(name)
		culprit, err := readTarget(filepath.Join(folder, "target.json"))
		if err != nil {
			out.note("%s is left out: %v", name, err)
			continue
		}
		issue, err := readValues(folder, &out)
		if err != nil {
			out.note("%s is left out: %v", name, err)
			continue
		}
		in := petShopInput(edges, normal, issue)
		if in.Front, err = d.front(in.Services); err != nil {
			return out, err
		}
		if err := in.Check(); err != nil {
			out.note("%s is left out: %v", name, err)
			continue
		}
		if !slices.ContainsFunc(in.Services, func(s rank.Service) bool { return s.Name == culprit }) {
			out.note("%s: its culprit %q is nowhere in the data, and so found by nobody", name, culprit)
		}
		out.Cases = append(out.Cases, culprits.Case{Name: name, Input: in, Culprit: culprit})
	}
	return out, nil
}

// readTarget reads who was to blame.
func readTarget(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var t struct {
		Cause struct {
			Node string `json:"node"`
		} `json:"root_cause"`
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return "", fmt.Errorf("target.json: %w", err)
	}
	if t.Cause.Node == "" {
		return "", errors.New("target.json names no root_cause.node: nobody knows the culprit")
	}
	return t.Cause.Node, nil
}

func readValues(folder string, out *Dataset) (v *petshop.Values, err error) {
	err = open(folder, "metrics.csv", out, func(in io.Reader, faults *source.Faults) (err error) {
		v, err = petshop.ReadValues(in, faults)
		return err
	})
	if err == nil && len(v.Times) == 0 {
		err = fmt.Errorf("%s: metrics.csv has no row", folder)
	}
	return v, err
}

// open hands a file of a folder, compressed or not, to read, and notes what of it can't be read.
func open(folder, name string, out *Dataset, read func(io.Reader, *source.Faults) error) error {
	var faults source.Faults
	for _, end := range []string{"", ".gz", ".zst"} {
		path := filepath.Join(folder, name+end)
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if err := read(f, &faults); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if faults.Count > 0 {
			out.note("%s: %s", path, faults.String())
		}
		return nil
	}
	return fmt.Errorf("%s: there is no %s, nor one that is compressed: %w", folder, name, fs.ErrNotExist)
}

// foldersWith are those below a folder that hold a file, by name, numbers in them by size.
func foldersWith(folder, file string) (out []string, err error) {
	err = filepath.WalkDir(folder, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() == file {
			out = append(out, filepath.Dir(p))
		}
		return err
	})
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) && filepath.Dir(a) == filepath.Dir(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return out, err
}

func petShopInput(edges [][2]string, normal, issue *petshop.Values) (in rank.Input) {
	ids := map[string]int{}
	service := func(name string) int {
		i, ok := ids[name]
		if !ok {
			i = len(in.Services)
			ids[name] = i
			in.Services = append(in.Services, rank.Service{Name: name})
		}
		return i
	}
	for _, v := range []*petshop.Values{normal, issue} {
		for c := range v.Series {
			service(c.Component)
		}
	}
	for _, e := range edges {
		in.Calls = append(in.Calls, rank.Call{From: service(e[0]), To: service(e[1])})
	}
	take := func(name, metric, statistic string) rank.Series {
		c := petshop.Column{Component: name, Metric: metric, Statistic: statistic}
		a, b := normal.Series[c], issue.Series[c]
		if a == nil && b == nil {
			return rank.Series{}
		}
		return rank.Series{Normal: whole(a, len(normal.Times)), Issue: whole(b, len(issue.Times))}
	}
	for i := range in.Services {
		s := &in.Services[i]
		s.Requests = take(s.Name, "requests", "Sum")
		s.Latency = take(s.Name, "latency", "Average")
		s.Errors = failing(take(s.Name, "availability", "Average"))
	}
	in.Front = -1
	return in
}

// whole is a series with a value for each row: NaN where there is none.
func whole(v []float64, n int) []float64 {
	if v != nil {
		return v
	}
	return slices.Repeat([]float64{math.NaN()}, n)
}

// failing is the share that fails, of the percentage that does not.
func failing(s rank.Series) rank.Series {
	f := func(v []float64) []float64 {
		if v == nil {
			return nil
		}
		out := make([]float64, len(v))
		for i, x := range v {
			out[i] = min(max(1-x/100, 0), 1)
			if math.IsNaN(x) {
				out[i] = x
			}
		}
		return out
	}
	return rank.Series{Normal: f(s.Normal), Issue: f(s.Issue)}
}
