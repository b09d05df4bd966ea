package web_test

import (
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

// what `foresail insights --json` may say.
func insights() map[string]any {
	at := "2026-03-01T12:00:00Z"
	row := func(kind string, windows, episodes int, more map[string]any) map[string]any {
		r := map[string]any{"application": "social", "kind": kind, "windows": windows, "episodes": episodes, "requests": 123456, "first": at, "last": "2026-03-03T09:30:00Z"}
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	return map[string]any{"schema": "foresail.dev/insights/v1", "rows": []any{
		row("hotspot", 310, 21, map[string]any{"endpoint": "home-timeline", "service": "post-storage-mongodb", "from": "post-storage", "resource": "disk", "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
			"evidence": map[string]any{"stay_ms": 182.4, "normal_stay_ms": 7.1, "disk_wait_ms": 160.2, "cpu_share": 0.31}, "change": "give it a faster disk or more replicas, or read and write less"}),
		row("chatty", 120, 9, map[string]any{"service": "post-storage", "operation": "ReadPosts", "callee": "<b>post-storage-memcached</b>", "evidence": map[string]any{"calls_per_request": 14.25}, "change": "ask for all posts in one call"}),
		row("cycle", 40, 2, map[string]any{"ring": []string{"user", "social-graph", "user"}, "evidence": map[string]any{"calls": 900}, "change": "break the ring", "notes": []string{"without sampled traces asynchronous calls count as waited for"}}),
		row("hotspot", 12, 3, map[string]any{"endpoint": "compose-post", "service": "text", "evidence": map[string]any{}, "change": "look at the example trace"}),
	}, "detail": map[string]any{"from": at, "to": "2026-03-03T09:30:00Z", "observed_s": 163800, "calm_s": 150000, "sampled_traces": 812, "missing": []string{"retransmits: slow networks look like slow services"},
		"endpoints": []any{map[string]any{"endpoint": "home-timeline", "windows": 160000, "violated": 310, "episodes": 21}, map[string]any{"endpoint": "compose-post", "windows": 90000, "violated": 12, "episodes": 3}}}}
}

// The page says where violations began and what to change; names never become markup. It waits while somebody looks, says what is needed
// where nothing is kept, and what failed.
func TestInsightsPage(t *testing.T) {
	b := browser(t)
	var state atomic.Pointer[web.Insights]
	state.Store(&web.Insights{State: "working", Text: "at noon"})
	f := newFeeder()
	_, url := serve(t, web.Config{App: f.app, Insights: func(time.Duration) web.Insights { return *state.Load() }})
	b.size(1440, 900, false)
	b.do(chromedp.Navigate(url + "/insights.html"))
	b.wait(`document.querySelector("#said").textContent.includes("at noon")`)
	state.Store(&web.Insights{State: "ready", At: time.Now(), Result: insights()})
	b.wait(`!document.querySelector("#found").hidden && document.querySelectorAll("#patterns > li").length === 4`)
	text := eval[string](b, `document.querySelector("#found").innerText`)
	for _, want := range []string{"322", "post-storage-mongodb", "post-storage → post-storage-mongodb", "home-timeline", "disk", "user → social-graph → user", "ask for all posts in one call", "4bf92f3577b34da6a3ce929d0e0e4736", "<b>post-storage-memcached</b>", "14.25", "retransmits"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	if dir := os.Getenv("FORESAIL_SCREENSHOTS"); dir != "" {
		for _, v := range views {
			b.size(v.w, v.h, v.phone)
			b.prefer(v.scheme)
			b.do(chromedp.Sleep(300 * time.Millisecond))
			b.size(v.w, max(eval[int64](b, `document.documentElement.scrollHeight`), v.h), v.phone)
			png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "insights-"+v.name+".png"), png, 0o644); err != nil {
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
	for _, s := range []web.Insights{{State: "needs", Text: "a history is needed"}, {State: "failed", Text: "the store is damaged"}} {
		state.Store(&s)
		eval[any](b, `document.querySelector("#again").click()`)
		b.wait(`document.querySelector("main").innerText.includes("` + s.Text + `") && document.querySelector("#found").hidden`)
	}
	b.clean()
}

func TestInsightsAPI(t *testing.T) {
	f := newFeeder()
	server := func(cfg web.Config) http.Handler {
		cfg.App = f.app
		s, err := web.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return s.Handler()
	}
	if w, _ := get(t, server(web.Config{}), "/api/v1/insights"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"needs"`) || !strings.Contains(w.Body.String(), "history") {
		t.Error(w.Code, w.Body)
	}
	var asked time.Duration
	h := server(web.Config{Insights: func(since time.Duration) web.Insights { asked = since; return web.Insights{State: "working"} }})
	if w, _ := get(t, h, "/api/v1/insights?since=48h"); w.Code != http.StatusOK || asked != 48*time.Hour {
		t.Error(w.Code, asked)
	}
	for _, bad := range []string{"yesterday", "-1h", "0s"} {
		if w, _ := get(t, h, "/api/v1/insights?since="+bad); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "48h") {
			t.Error(bad, w.Code, w.Body)
		}
	}
}
