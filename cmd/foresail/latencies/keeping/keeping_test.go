package keeping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/sketch"
	"foresail.dev/telemetry/store"
)

const services = `
application: shop
target: front:0.90
metrics: ["0.50", "0.90"]
shows: [cpu]
stop_after: 10
services:
  - {name: front, calls: [cart]}
  - {name: cart}
choices: {"cart:engine": [redis, memcached]}
`

// lines are streams of a shop: so many rows, with what change makes of each line.
func lines(n int, change func(seq int, label, line string) string) string {
	r := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for i := range n {
		f, c := 1+r.Float64(), 1+r.Float64()
		engine, took := "redis", 0.02/c
		if i%3 == 0 {
			engine, took = "memcached", 0.03/c
		}
		for _, v := range [][3]any{{"front:cpu", "continuous", f}, {"cart:cpu", "continuous", c}, {"cart:engine", "choices", engine}, {"cart:0.50", "continuous", took / 2}, {"cart:0.90", "continuous", took},
			{"front:0.50", "continuous", took/2 + 0.005/f}, {"front:0.90", "continuous", took + 0.01/f}} {
			line, _ := json.Marshal(map[string]any{"stream_uri": v[0], "type": v[1], "seq_num": 1_700_000_000 + 60*i, "val": v[2]})
			text := string(line)
			if change != nil {
				text = change(i, v[0].(string), text)
			}
			if text != "" {
				b.WriteString(text + "\n")
			}
		}
	}
	return b.String()
}

// run runs a command and gives what it prints.
func run(t *testing.T, c *cobra.Command, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c.SetArgs(args)
	c.SetIn(strings.NewReader(stdin))
	c.SetOut(&out)
	c.SetErr(&out)
	c.SilenceUsage, c.SilenceErrors = true, true
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type result struct {
	Rows   []map[string]any `json:"rows"`
	Detail map[string]any   `json:"detail"`
}

func decode(t *testing.T, text string) (r result) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err, text)
	}
	return r
}

// From streams on standard input to a prediction: learnt, kept, listed, asked, and looked into.
func TestFromStreams(t *testing.T) {
	models, format := t.TempDir(), write(t, "services.yaml", services)
	out, err := run(t, NewFit(), lines(60, nil)+"nonsense\n", "--evaluations", "1", "--folds", "3", "--models", models, "--streams", "-", "-f", format, "--json")
	if err != nil {
		t.Fatal(out, err)
	}
	r := decode(t, out)
	if len(r.Rows) != 4 || r.Detail["rows"] != 60.0 || !strings.Contains(fmt.Sprint(r.Detail["notes"]), "1 lines are malformed") {
		t.Error(out)
	}
	if out, err = run(t, NewList(), "", "--models", models, "--json"); err != nil {
		t.Fatal(out, err)
	}
	list := decode(t, out)
	if len(list.Rows) != 5 || list.Rows[0]["id"] != r.Detail["graph"] || list.Rows[0]["application"] != "shop" || list.Rows[1]["rows"] != 60.0 || list.Rows[1]["from"] != "2023-11-14T22:13:20Z" {
		t.Error(out)
	}
	ask := func(sets ...string) float64 {
		t.Helper()
		out, err := run(t, NewPredict(), "", "--models", models, "--set", strings.Join(sets, ","), "--json")
		if err != nil {
			t.Fatal(out, err)
		}
		return decode(t, out).Rows[0]["predicted_ms"].(float64)
	}
	quick := ask("front:cpu=1.5", "cart:cpu=1.8", "cart:engine=redis=1", "cart:engine=memcached=0")
	slow := ask("front:cpu=1.5", "cart:cpu=1.2", "cart:engine=redis=0", "cart:engine=memcached=1")
	// 20/1.8 + 10/1.5 and 30/1.2 + 10/1.5 ms
	if quick < 14 || quick > 22 || slow < 27 || slow > 36 {
		t.Errorf("%v and %v ms, should be about 17.8 and 31.7", quick, slow)
	}
	if out, err := run(t, NewPredict(), "", "--models", models, "--set", "front:cpu=1"); err == nil || !strings.Contains(err.Error(), "cart:cpu") {
		t.Error(out, err)
	}
	// The cart has become slower: debugging names its model.
	late := lines(60, func(_ int, label, line string) string {
		var v map[string]any
		_ = json.Unmarshal([]byte(line), &v)
		if n, ok := v["val"].(float64); ok && strings.Contains(label, ":0.") {
			seq := int(v["seq_num"].(float64))/60 - 1_700_000_000/60
			v["val"] = n + 0.01*float64(seq%5)
		}
		b, _ := json.Marshal(v)
		return string(b)
	})
	for _, by := range []string{byIntervention, byCorrelation} {
		if out, err = run(t, NewDebug(), late, "--models", models, "--streams", "-", "-f", format, "--by", by, "--json"); err != nil {
			t.Fatal(out, err)
		}
		fault := ""
		for _, row := range decode(t, out).Rows {
			if row["fault"] == true {
				fault = row["label"].(string)
			}
		}
		if !strings.HasPrefix(fault, "cart:") {
			t.Error(by, out)
		}
	}
	if out, err := run(t, NewDebug(), late, "--models", models, "--application", "bank", "--streams", "-", "-f", format); err == nil || !strings.Contains(err.Error(), `"bank"`) {
		t.Error(out, err)
	}
}

// A stream that stops is told; where it is one that is needed, that is said, and where it is not, the rest is learnt from.
func TestStreamsThatStop(t *testing.T) {
	format := write(t, "services.yaml", services)
	stop := func(label string) func(int, string, string) string {
		return func(i int, of, line string) string {
			if of == label && i > 30 {
				return ""
			}
			return line
		}
	}
	out, err := run(t, NewFit(), lines(60, stop("cart:cpu")), "--evaluations", "1", "--folds", "3", "--models", t.TempDir(), "--streams", "-", "-f", format, "--json")
	if err != nil || !strings.Contains(out, "stream cart:cpu stopped at 1700001800") || decode(t, out).Detail["rows"] != 60.0 {
		t.Error(out, err)
	}
	_, err = run(t, NewFit(), lines(60, stop("front:0.90")), "--models", t.TempDir(), "--streams", "-", "-f", format)
	if err == nil || !strings.Contains(err.Error(), "no stream is of the target, front:0.90") || !strings.Contains(err.Error(), "stopped") {
		t.Error(err)
	}
	// A service of whose callee nothing comes.
	_, err = run(t, NewFit(), lines(60, func(_ int, of, line string) string {
		if strings.HasPrefix(of, "cart:0") {
			return ""
		}
		return line
	}), "--models", t.TempDir(), "--streams", "-", "-f", format)
	if err == nil || !strings.Contains(err.Error(), "service cart") {
		t.Error(err)
	}
	if _, err = run(t, NewFit(), lines(5, nil), "--models", t.TempDir(), "--streams", "-", "-f", format); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Error(err)
	}
}

// filled is a history of a front that calls a cart, which is scaled out halfway.
func filled(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front"}, {Name: "cart"}},
		Endpoints: []foresail.Endpoint{{Name: "get", Objective: &foresail.Objective{Percentile: 90, Latency: time.Second}}}}
	s, err := store.Open(dir, store.Options{App: app})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	usage := func(took, requests float64) foresail.Usage {
		u := foresail.Usage{Has: foresail.SignalAllocation | foresail.SignalArrivals | foresail.SignalLatency | foresail.SignalReady, Ready: 1, Arrivals: requests, Latency: sketch.New()}
		for k := range 10 {
			u.Latency.AddN(took*(1+float64(k)/20), requests/10)
		}
		return u
	}
	for i := range n {
		start := time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC)
		sn := &foresail.Snapshot{Start: start, End: start.Add(time.Minute), Has: foresail.SignalEdges, Edges: []foresail.EdgeStats{{From: 0, To: 1, Calls: 1000}}}
		replicas := 1
		if i >= n/2 {
			replicas = 2
		}
		cpu, f := 1+r.Float64(), 1+r.Float64()
		cart := foresail.ServiceStats{Usage: usage(0.02/cpu, 1000), Allocation: foresail.Allocation{Replicas: replicas, CPU: cpu}}
		cart.Ready = replicas
		for k := range replicas {
			u := usage(0.02/cpu, 1000/float64(replicas))
			cart.Replicas = append(cart.Replicas, foresail.ReplicaStats{Name: fmt.Sprint("cart-", k), Usage: u})
		}
		front := foresail.ServiceStats{Usage: usage(0.02/cpu+0.01/f, 1000), Allocation: foresail.Allocation{Replicas: 1, CPU: f}}
		front.Replicas = []foresail.ReplicaStats{{Name: "front-0", Usage: usage(0.02/cpu+0.01/f, 1000)}}
		sn.Services = []foresail.ServiceStats{front, cart}
		sn.Endpoints = make([]foresail.EndpointStats, 1)
		if err := s.Append(app, sn); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFromAHistory(t *testing.T) {
	data, models := filled(t, 140), t.TempDir()
	out, err := run(t, NewFit(), "", "--evaluations", "1", "--folds", "3", "--models", models, "-d", data, "--json")
	if err != nil {
		t.Fatal(out, err)
	}
	r := decode(t, out)
	if r.Detail["target"] != "front:0.90" || r.Detail["rows"] != 140.0 {
		t.Error(out)
	}
	// The cart has two instances by now: what is set without # is of both.
	out, err = run(t, NewPredict(), "", "--models", models, "--set", "front:cpu=1.5,cart:cpu=1.5,front:rps=16.7,cart:rps=8.3", "--json")
	if err != nil {
		t.Fatal(out, err)
	}
	if got := decode(t, out).Rows[0]["predicted_ms"].(float64); got < 23 || got > 34 { // (20/1.5 + 10/1.5) × 1.4
		t.Errorf("%v ms, should be about 28", got)
	}
	if out, err = run(t, NewDebug(), "", "--models", models, "-d", data); err != nil || !strings.Contains(out, "at fault: ") {
		t.Error(out, err)
	}
	// Replayed, the graph is learnt from the first hour, and follows when the cart is scaled: nothing is learnt anew but what aggregates.
	out, err = run(t, NewFit(), "", "--evaluations", "1", "--folds", "3", "--models", models, "-d", data, "--follow", "--json")
	if err != nil {
		t.Fatal(out, err)
	}
	r = decode(t, out)
	var what []string
	for _, row := range r.Rows {
		what = append(what, row["what"].(string))
	}
	if !slices.Equal(what, []string{"composed", "scaled", "aggregated"}) || r.Detail["graph"] == "" {
		t.Error(out)
	}
	if out, err = run(t, NewList(), "", "--models", models, "--graphs"); err != nil || strings.Count(out, "graph  front:0.90") != 3 && strings.Count(out, "graph") < 4 {
		t.Error(out, err)
	}
}

func TestUsage(t *testing.T) {
	models := t.TempDir()
	for _, c := range []struct {
		command *cobra.Command
		args    string
		want    string
	}{
		{NewFit(), "--models M", "--data"},
		{NewFit(), "--models M -d a --streams b", "two places"},
		{NewFit(), "--models M --streams b", "--file"},
		{NewFit(), "--models M --streams b -f c --step 1m", "--step is of a history"},
		{NewFit(), "--models M --streams b -f c --follow", "--follow"},
		{NewFit(), "--models M -d a --folds 1 --evaluations 0", "--evaluations 0: from 1 to 10000 can be; --folds"},
		{NewFit(), "--models M -d /none", "/none"},
		{NewList(), "--models /none", "/none"},
		{NewPredict(), "--models M", "--set"},
		{NewPredict(), "--models M --set x", `"x"`},
		{NewDebug(), "--models M --runs a -d b", "give one"},
		{NewDebug(), "--models M --runs a --by chance", `"chance"`},
	} {
		_, err := run(t, c.command, "", strings.Fields(strings.ReplaceAll(c.args, "M", models))...)
		if !cli.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, should say %s", c.args, err, c.want)
		}
	}
	if _, err := run(t, NewPredict(), "", "--models", models, "--set", "a:b=1"); err == nil || !strings.Contains(err.Error(), "holds no graph") {
		t.Error(err)
	}
	bad := write(t, "f.yaml", strings.NewReplacer("calls: [cart]", "calls: [card]", "target: front:0.90", "target: x").Replace(services))
	if _, err := run(t, NewFit(), "", "--models", models, "--streams", "-", "-f", bad); !cli.IsUsage(err) || !strings.Contains(err.Error(), "card") || !strings.Contains(err.Error(), `"x"`) {
		t.Error(err)
	}
}
