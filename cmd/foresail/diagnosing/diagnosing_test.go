package diagnosing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const example = "../../../examples/culprits.yaml"

// On the real data, of which nothing was fitted, ours is ahead of every other method.
func TestOnTheRealData(t *testing.T) {
	f, all, err := Read(example)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("needs the outside data in ../shared/data: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := Measure(context.Background(), f, all, func(float64, string) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 10 || len(r.Detail.Cases) != 50 || len(r.Detail.Notes) != 0 {
		t.Fatalf("%d rows, %d cases, notes %q", len(r.Rows), len(r.Detail.Cases), r.Detail.Notes)
	}
	ours := map[string]Row{}
	for _, w := range r.Rows {
		t.Logf("%+v", w)
		if want := map[string]int{"petshop-low": 26, "nezha-ob": 24}[w.Dataset]; w.Cases != want {
			t.Errorf("%s: %d cases, want %d", w.Dataset, w.Cases, want)
		}
		if w.Method == "foresail" {
			ours[w.Dataset] = w
			continue
		}
		if o := ours[w.Dataset]; o.Top1 <= w.Top1 || o.Top3 <= w.Top3 || o.Avg5 <= w.Avg5 {
			t.Errorf("%s: %+v is not ahead of %+v", w.Dataset, o, w)
		}
	}
	for _, o := range ours {
		if o.Top1 < 0.9 {
			t.Errorf("%+v: want 0.9 of culprits first", o)
		}
		if o.Ms > 2000 { // less than 100 ms is what it should take; the race detector on a busy machine takes some hundred
			t.Errorf("%+v: too slow by far", o)
		}
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// shop is a small data set in PetShop's form: front calls back; of ghost there are metrics in the issue alone.
func shop() map[string]string {
	head := "microservice,front,front,back,back%s\nmetric,latency,requests,latency,requests%s\nstatistic,Average,Sum,Average,Sum%s\nunix_timestamp,,,,%s\n"
	normal := fmt.Sprintf(head, "", "", "", "")
	for i := range 20 {
		normal += fmt.Sprintf("%d.0,0.1%d,100.0,0.05%d,100.0\n", 1690000000+300*i, i%3, i%2)
	}
	issue := fmt.Sprintf(head, ",ghost", ",requests", ",Sum", ",")
	for i := range 5 {
		issue += fmt.Sprintf("%d.0,0.4,100.0,0.35,100.0,3.0\n", 1680000000+300*i)
	}
	return map[string]string{
		"graph.csv":                 ",front,back\nfront,0.0,1.0\nback,0.0,0.0\n",
		"noissue/metrics.csv":       normal,
		"test/issue_2/metrics.csv":  issue,
		"test/issue_2/target.json":  `{"target": {"node": "front"}, "root_cause": {"node": "back", "metric": null}}`,
		"test/issue_10/metrics.csv": issue,
		"test/issue_10/target.json": `{"root_cause": {"node": "back"}}`,
	}
}

func petshopFile(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	write(t, dir, files)
	write(t, dir, map[string]string{"c.yaml": "datasets:\n  - {name: shop, format: petshop, folder: .}\n"})
	return filepath.Join(dir, "c.yaml")
}

func TestPetShop(t *testing.T) {
	f, all, err := Read(petshopFile(t, shop()))
	if err != nil || len(all[0].Notes) > 0 || len(all[0].Cases) != 2 || all[0].Cases[0].Name != "test/issue_2" {
		t.Fatalf("%v, %+v", err, all)
	}
	r, err := Measure(context.Background(), f, all, func(float64, string) {})
	if err != nil || r.Rows[0].Top1 != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
	var out strings.Builder
	if err := r.print(&out); err != nil || !strings.Contains(out.String(), "1.000") {
		t.Errorf("%v: %s", err, out.String())
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Measure(ctx, f, all, func(float64, string) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// What is wrong with one case costs that case, and is told; what is wrong with all of them is an error.
func TestBadPetShop(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string // "" takes the file away
		err, note  string
		cases      int
	}{
		"no graph":           {file: "graph.csv", err: "there is no graph.csv"},
		"a graph that isn't": {file: "graph.csv", text: "hello\n", err: "not a graph"},
		"no normal period":   {file: "noissue/metrics.csv", err: "there is no metrics.csv"},
		"an empty one":       {file: "noissue/metrics.csv", text: "", err: "there is no metrics.csv"},
		"no rows":            {file: "noissue/metrics.csv", text: "microservice,a\nmetric,latency\nstatistic,Average\nunix_timestamp,\n", err: "has no row"},
		"no metrics":         {file: "test/issue_2/metrics.csv", note: "test/issue_2 is left out", cases: 1},
		"broken metrics":     {file: "test/issue_2/metrics.csv", text: "microservice,a\nmetric\n", note: "test/issue_2 is left out", cases: 1},
		"broken target":      {file: "test/issue_2/target.json", text: "{", note: "target.json: ", cases: 1},
		"no culprit":         {file: "test/issue_2/target.json", text: "{}", note: "nobody knows the culprit", cases: 1},
		"a culprit unknown":  {file: "test/issue_2/target.json", text: `{"root_cause": {"node": "who"}}`, note: `its culprit "who" is nowhere in the data`, cases: 2},
		"a row that breaks":  {file: "test/issue_2/metrics.csv", text: shop()["test/issue_2/metrics.csv"] + "soon,1,2,3,4,5\n", note: "is not a time", cases: 2},
	} {
		t.Run(name, func(t *testing.T) {
			files := shop()
			if files[c.file] = c.text; c.text == "" {
				delete(files, c.file)
			}
			f, all, err := Read(petshopFile(t, files))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "data set shop") {
					t.Fatalf("%v lacks %q", err, c.err)
				}
				return
			}
			if err != nil || len(all[0].Cases) != c.cases || len(all[0].Notes) != 1 || !strings.Contains(all[0].Notes[0], c.note) {
				t.Fatalf("%v, %d cases, %q lacks %q", err, len(all[0].Cases), all[0].Notes, c.note)
			}
			if r, err := Measure(context.Background(), f, all, func(float64, string) {}); err != nil || len(r.Detail.Notes) != 1 {
				t.Errorf("%v, %+v", err, r)
			}
		})
	}
	files := shop()
	files["test/issue_2/target.json"], files["test/issue_10/target.json"] = "{}", "{}"
	if _, _, err := Read(petshopFile(t, files)); err == nil || !strings.Contains(err.Error(), "no issue whose culprit is known") {
		t.Errorf("no case is left: %v", err)
	}
}

// pods is a small data set in Nezha's form.
func pods() map[string]string {
	files := map[string]string{"metric/dependency.csv": "Source,Target,Weight\nfront,back,1\nfront,10.0.0.1,1\n"}
	start := time.Date(2022, 8, 22, 3, 0, 19, 0, time.UTC)
	users := "Time,TimeStamp,ServiceName,SuccessRate(%),LatencyP50(s)\n"
	server := "time,timestamp,front_back\n"
	for _, who := range []string{"front", "back"} {
		text := "Time,TimeStamp,PodName,CpuUsage(m),PodServerLatencyP90(s),PodWorkload(Ops)\n"
		for i := range 60 {
			at := start.Add(time.Duration(i) * time.Minute).Format("2006-01-02 15:04:05.999999999 -0700 MST")
			ill := i >= 31 && i < 34
			cpu, slow := 5.0+float64(i%3), 0.01
			if who == "back" && ill {
				cpu, slow = 40, 0.3
			}
			text += fmt.Sprintf("%s,0,%s-5f6585d649-fnmft,%g,%g,10\n", at, who, cpu, slow)
			if who == "back" {
				users += fmt.Sprintf("%s,0,Shop,100,%g\n", at, 0.05+slow)
				server += fmt.Sprintf("%s,0,%g\n", at, slow)
			}
		}
		files["metric/"+who+"-5f6585d649-fnmft_metric.csv"] = text
	}
	files["metric/front_service.csv"], files["metric/destination_50.csv"], files["metric/source_50.csv"] = users, server, server
	files["x-fault_list.json"] = fmt.Sprintf(`{"03": [{"inject_timestamp": "%d", "inject_pod": "back-5f6585d649-fnmft", "inject_type": "cpu"}]}`, start.Unix()+30*60+30)
	return files
}

func TestNezha(t *testing.T) {
	read := func(files map[string]string, more string) (*Result, []Dataset, error) {
		dir := t.TempDir()
		write(t, dir, files)
		write(t, dir, map[string]string{"c.yaml": "datasets:\n  - {name: pods, format: nezha, folder: ." + more + "}\n"})
		f, all, err := Read(filepath.Join(dir, "c.yaml"))
		if err != nil {
			return nil, all, err
		}
		r, err := Measure(context.Background(), f, all, func(float64, string) {})
		return r, all, err
	}
	r, all, err := read(pods(), "")
	if err != nil || len(r.Detail.Notes) > 0 || r.Rows[0].Top1 != 1 || r.Detail.Cases[0].Culprit != "back" {
		t.Fatalf("%v, %+v", err, r)
	}
	in := all[0].Cases[0].Input
	if front := in.Services[in.Front]; front.Name != "front" || len(front.Errors.Issue) != 3 || front.Latency.Issue[0] != 0.35 {
		t.Errorf("what users saw is not of the front: %+v", front)
	}
	if len(in.Services[0].CPU.Normal) > 60-3-aftermath {
		t.Errorf("%d rows are normal: some are of the issue", len(in.Services[0].CPU.Normal))
	}
	if _, all, err := read(pods(), ", duration: 1m, normal_rows: 7, front: back"); err != nil || len(all[0].Cases[0].Input.Services[0].CPU.Normal) != 7 || len(all[0].Cases[0].Input.Services[0].CPU.Issue) != 1 {
		t.Errorf("other rows: %v", err)
	}
	if _, _, err := read(pods(), ", front: who"); err == nil || !strings.Contains(err.Error(), `no service is called "who"`) {
		t.Errorf("an unknown front: %v", err)
	}
	for name, c := range map[string]struct{ file, text, err, note string }{
		"no metrics":       {file: "metric", err: "there are no metrics below it"},
		"no list":          {file: "x-fault_list.json", err: "there is no fault in"},
		"a broken list":    {file: "x-fault_list.json", text: "[", err: "x-fault_list.json"},
		"no time":          {file: "x-fault_list.json", text: `{"03": [{"inject_pod": "a"}]}`, err: "is left out"},
		"outside the data": {file: "x-fault_list.json", text: `{"03": [{"inject_timestamp": "1", "inject_pod": "back"}]}`, err: "0 of the issue"},
		"a broken table":   {file: "metric/front_service.csv", text: "what\n", err: "front_service.csv"},
		"an unknown pod":   {file: "x-fault_list.json", text: strings.Replace(pods()["x-fault_list.json"], "back", "who", 1), note: "its culprit is nowhere"},
	} {
		files := pods()
		delete(files, c.file)
		for k := range files {
			if strings.HasPrefix(k, c.file+"/") {
				delete(files, k)
			}
		}
		if c.text != "" {
			files[c.file] = c.text
		}
		r, _, err := read(files, "")
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v lacks %q", name, err, c.err)
		case c.err == "" && (err != nil || len(r.Detail.Notes) != 1 || !strings.Contains(r.Detail.Notes[0], c.note)):
			t.Errorf("%s: %v, %+v lacks %q", name, err, r, c.note)
		}
	}
}

// All that is wrong with a file is told at once.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"c.yaml": `
methods: [guess]
datasets:
  - {name: a, format: alibaba, folder: .}
  - {name: a, format: petshop, folder: ., normal_rows: 5}
  - {name: b, format: nezha, duration: 1s}
`})
	_, _, err := Read(filepath.Join(dir, "c.yaml"))
	for _, want := range []string{`"guess"; there are foresail`, "alibaba", `"a", as another is`, "normal_rows, which belong", "folder", "duration"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if _, _, err := Read(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	write(t, dir, map[string]string{"d.yaml": "datasets:\n  - {name: a, format: petshop, folder: nowhere}\n  - {name: b, format: nezha, folder: nowhere}\n"})
	if _, _, err := Read(filepath.Join(dir, "d.yaml")); err == nil || !strings.Contains(err.Error(), "data set a: ") || !strings.Contains(err.Error(), "data set b: ") {
		t.Errorf("no folders: %v", err)
	}
}
