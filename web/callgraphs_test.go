package web_test

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"foresail.dev/web"
)

// callGraphs is what a run may say (docs/formats/callgraph.md).
func callGraphs() map[string]any {
	type m = map[string]any
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	visits := func(names ...string) (out []any) {
		for i, n := range names {
			v := m{"service": n, "operation": "/" + strings.ToLower(n), "parent": (i+1)/2 - 1, "own_p50_ms": 0.4 * float64(i+1), "own_p99_ms": 3.2, "own_mean_ms": 0.7}
			if i%4 >= 2 {
				v["step"] = 1
			}
			if i == 3 {
				v["times"] = 3
			}
			if i == 5 {
				v["async"] = true
				delete(v, "own_p50_ms")
			}
			out = append(out, v)
		}
		return out
	}
	shape := func(id string, share float64, names ...string) m {
		return m{"endpoint": "compose-post", "shape": id, "share": share, "requests": 120000 * share, "pooled": 0, "services": len(names), "calls": len(names) + 2, "p50_ms": 14.2, "p99_ms": 61.0 + 100*share, "graph": "", "visits": visits(names...)}
	}
	long := []string{"nginx", "compose-post", "unique-id", "text", "user", "post-storage", "user-mention", "url-shorten", "home-timeline", "social-graph", "user-timeline", "media", "a-service-with-a-name-that-is-longer-than-any-other"}
	shapes := []any{shape("3f9a01c2aabb", 0.62, long...), shape("81d0aa10ff02", 0.3, long[:6]...), shape("00c21aa0e1d4", 0.05, "nginx", "<b>post-storage-memcached</b>"), shape("a1", 0.01, long[:3]...), shape("a2", 0.009, long[:3]...), shape("a3", 0.006, long[:4]...), shape("a4", 0.005, long[:2]...)}
	var times []int64
	over := make([][]float64, len(shapes))
	for k := range 60 {
		times = append(times, at.Add(time.Duration(k)*time.Minute).UnixMilli())
		x := 0.5 + 0.4*math.Sin(float64(k)/9)
		for i, v := range []float64{x, 0.95 - x, 0.03, 0.01, 0.005, 0.003, 0.002} {
			if k == 30 { // nothing was told
				v = 0
			}
			over[i] = append(over[i], 2000*v)
		}
	}
	tail := m{"percentile": 99, "at_ms": 66.1, "observed_ms": 64.8, "mean_ms": 80.2, "services": []any{
		m{"service": "post-storage", "own_ms": 41.0, "all_ms": 6.2, "excess_ms": 34.8, "part": 0.511}, m{"service": "text", "own_ms": 22.2, "all_ms": 5.1, "excess_ms": 17.1, "part": 0.277},
		m{"service": "nginx", "own_ms": 11, "all_ms": 3.2, "excess_ms": 7.8, "part": 0.137}, m{"service": "user", "own_ms": 6, "all_ms": 1, "excess_ms": 5, "part": 0.075}, m{"service": "home-timeline", "own_ms": 0, "all_ms": 0, "excess_ms": 0, "part": 0}}}
	return m{"from": at, "to": at.Add(time.Hour), "times": times, "endpoints": []any{
		m{"endpoint": "compose-post", "requests": 120000, "pooled_share": 0.004, "p50_ms": 14.6, "p99_ms": 65.2, "objective_ms": 60, "objective_percentile": 99, "shapes": shapes, "tail": tail},
		m{"endpoint": "read-home", "requests": 90000, "pooled_share": 0, "shapes": []any{shape("bb", 1, "nginx", "home-timeline")}, "tail_why": "own times were not observed"}},
		"over": []any{m{"requests": over}, m{"requests": [][]float64{over[0]}}}}
}

// The page shows an endpoint's call graphs, their shares and who makes the tail; names never become markup. It says what is needed where
// there are none, and keeps what it shows where the server is silent for a while.
func TestCallGraphsPage(t *testing.T) {
	b := browser(t)
	var state atomic.Pointer[web.CallGraphs]
	state.Store(&web.CallGraphs{State: "needs", Text: "no traces reach it"})
	f := newFeeder()
	_, url := serve(t, web.Config{App: f.app, CallGraphs: func() web.CallGraphs { return *state.Load() }})
	b.size(1440, 900, false)
	b.do(chromedp.Navigate(url + "/callgraphs.html"))
	b.wait(`document.querySelector("main").innerText.includes("no traces reach it") && document.querySelector("#found").hidden`)
	state.Store(&web.CallGraphs{State: "ready", At: time.Now(), Result: callGraphs()})
	b.wait(`!document.querySelector("#found").hidden && document.querySelectorAll(".form").length === 7 && document.querySelector("#shares canvas") !== null`)
	text := eval[string](b, `document.querySelector("#found").innerText`)
	for _, want := range []string{"62.0", "3f9a01c2aabb", "post-storage", "51", "66", "65", "3×", "nobody waits", "<b>post-storage-memcached</b>", "2 others", "0.4"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	if n := eval[int](b, `document.querySelectorAll("#tail li").length`); n != 4 {
		t.Errorf("%d services make the tail", n)
	}
	if n := eval[int](b, `document.querySelectorAll(".form:first-child .visit").length`); n != 13 {
		t.Errorf("%d visits of the first call graph", n)
	}
	if n := eval[int](b, `document.querySelectorAll(".form:first-child .step.together").length`); n != 0 {
		t.Errorf("%d steps of the first call graph hold several", n)
	}
	if dir := os.Getenv("FORESAIL_SCREENSHOTS"); dir != "" {
		for _, v := range views {
			b.size(v.w, v.h, v.phone)
			b.prefer(v.scheme)
			b.do(chromedp.Sleep(300 * time.Millisecond))
			b.size(v.w, max(eval[int64](b, `document.documentElement.scrollHeight`), v.h), v.phone)
			b.do(chromedp.Sleep(300 * time.Millisecond))
			png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "callgraphs-"+v.name+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, w := range []int64{390, 768, 1440} { // nothing sticks out
		b.size(w, 800, w < 500)
		if over := eval[int64](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("at %d it is %d wider than the window", w, over)
		}
	}
	eval[any](b, `{ const s = document.querySelector("#endpoint"); s.value = "read-home"; s.dispatchEvent(new Event("change")); }`)
	b.wait(`document.querySelector("#tail-none").innerText.includes("own times were not observed") && document.querySelectorAll(".form").length === 1`)
	b.clean()
}

// What is drawn of shares, and of what goes on side by side, does not hang on a browser's window.
func TestCallGraphsArithmetic(t *testing.T) {
	b := browser(t)
	_, url := serve(t, web.Config{App: newFeeder().app})
	b.do(chromedp.Navigate(url + "/callgraphs.html"))
	b.wait(`document.querySelector("main").innerText.includes("gathers no call graphs")`)
	call := func(expr, want string) {
		t.Helper()
		eval[any](b, fmt.Sprintf(`window.got = null; import("/js/callgraphs.js").then((m) => { window.got = JSON.stringify(%s) })`, expr))
		b.wait(`window.got !== null`)
		if got := eval[string](b, `window.got`); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	call(`m.children([{parent: -1}, {parent: 0}, {parent: 1}, {parent: 0}, {parent: 0, step: 1}], 0)`, `[[1,3],[4]]`)
	call(`m.stacked([10, 20], [[1, 0], [3, 0]], ["a", "b"])`, `[{"name":"a","data":[[10,0.25],[20,null]]},{"name":"b","data":[[10,0.75],[20,null]]}]`)
	call(`m.stacked([10], [[1], [1], [1], [1], [1], [2], [3]], ["a", "b", "c", "d", "e", "f", "g"]).at(-1)`, `{"name":"2 others","data":[[10,0.5]]}`)
	b.clean()
}

func TestCallGraphsAPI(t *testing.T) {
	server := func(cfg web.Config) http.Handler {
		cfg.App = newFeeder().app
		s, err := web.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return s.Handler()
	}
	if w, _ := get(t, server(web.Config{}), "/api/v1/callgraphs"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"needs"`) {
		t.Error(w.Code, w.Body)
	}
	h := server(web.Config{CallGraphs: func() web.CallGraphs { return web.CallGraphs{State: "ready", Result: callGraphs()} }})
	if w, _ := get(t, h, "/api/v1/callgraphs"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"3f9a01c2aabb"`) {
		t.Error(w.Code, w.Body)
	}
}
