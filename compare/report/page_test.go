package report_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"foresail.dev/compare"
	"foresail.dev/compare/report"
)

// tab is a page in a headless Chromium: what it asked for, and what it complained about.
type tab struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex
	faults   []string
	requests []string
}

func (b *tab) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		for _, a := range e.Args {
			b.faults = append(b.faults, "console: "+string(a.Value)+a.Description)
		}
	case *cdplog.EventEntryAdded:
		b.faults = append(b.faults, "log: "+e.Entry.Text+" "+e.Entry.URL)
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

// open shows a page in a fresh browser, or skips the test where there is none.
func open(t testing.TB, page []byte) *tab {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes seconds: left out with -short")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium here, so the page isn't tried in a browser: install it with apt-get install chromium (./test does)")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/report.html" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	}))
	t.Cleanup(s.Close)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	b := &tab{TB: t}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, stopTab := chromedp.NewContext(ctx, chromedp.WithListener(b.hear))
	t.Cleanup(func() {
		chromedp.Cancel(ctx)
		stopTab()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("Chromium doesn't start: ", err)
	}
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b.ctx = limited
	b.do(chromedp.Navigate(s.URL + "/report.html"))
	b.wait(`document.documentElement.dataset.ready === ""`)
	return b
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

func eval[T any](b *tab, expr string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expr))
	if err != nil {
		b.Fatalf("%s: %v", expr, err)
	}
	return v
}

func (b *tab) wait(expr string) {
	b.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expr)); err == nil && ok {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Fatal("never true: ", expr, "; the page complained: ", b.faults)
}

func (b *tab) prefer(scheme string) {
	b.Helper()
	p := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, p)
		return err
	}))
}

// clipped are the labels that stick out of their picture, and the parts that make the page wider than the window.
const clipped = `(() => {
  const out = [];
  for (const t of document.querySelectorAll("svg text")) {
    const a = t.getBoundingClientRect(), b = t.ownerSVGElement.getBoundingClientRect();
    if (a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 2 || a.bottom > b.bottom + 2) out.push("label " + t.textContent);
  }
  for (const svg of document.querySelectorAll("svg")) {
    if (svg.querySelectorAll("text").length < 4) out.push("an axis without labels: " + svg.textContent);
    if (svg.innerHTML.includes("NaN")) out.push("a coordinate that is no number: " + svg.parentElement.textContent);
  }
  if (document.documentElement.scrollWidth > innerWidth) out.push("the page is " + document.documentElement.scrollWidth + " wide");
  return out;
})()`

func pageOf(t testing.TB, dir string) []byte {
	t.Helper()
	r, err := compare.Show(dir)
	if err != nil {
		t.Fatal(err)
	}
	page, err := report.HTML(r, report.Header{Commit: "0123456789ab", Machine: "linux/amd64, 2 processors"})
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// The page needs nothing but itself, complains about nothing, and nothing on it is cut off, wide or narrow, light or
// dark.
func TestPage(t *testing.T) {
	b := open(t, pageOf(t, "testdata/kept"))
	for _, w := range []int64{1400, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.prefer(scheme)
			b.do(chromedp.EmulateViewport(w, 900))
			b.wait(fmt.Sprintf("innerWidth === %d && document.documentElement.dataset.theme === %q", w, scheme))
			for _, fault := range eval[[]string](b, clipped) {
				t.Errorf("%d px, %s: %s", w, scheme, fault)
			}
		}
	}
	if n := eval[int](b, `document.querySelectorAll("#charts svg").length`); n != 4 {
		t.Errorf("%d charts of a run, want 4", n)
	}
	// Sorting by cores puts the fewest first, then the most.
	cores := `[...document.querySelectorAll("table.sortable")[0].tBodies[0].rows].map((r) => Number(r.cells[1].dataset.sort))`
	b.do(chromedp.Click(`table.sortable th:nth-child(2) button`))
	up := eval[[]float64](b, cores)
	b.do(chromedp.Click(`table.sortable th:nth-child(2) button`))
	down := eval[[]float64](b, cores)
	slices.Reverse(down)
	if len(up) < 3 || !slices.IsSorted(up) || !slices.Equal(up, down) {
		t.Errorf("sorted by cores: %v, and %v", up, down)
	}
	// A manager's name shows its run.
	b.do(chromedp.Click(`button.name[data-group="1"][data-manager="guard(hpa)"]`))
	if got := eval[[]string](b, `["group", "first"].map((n) => document.querySelector("#picker").elements[n].selectedOptions[0].text)`); !slices.Equal(got, []string{"online-boutique, ramp", "guard(hpa)"}) {
		t.Errorf("picked: %v", got)
	}
	if eval[int](b, `document.querySelectorAll("#charts svg .limit").length`) != 1 {
		t.Error("no objective line in the chart of latency")
	}
	// Each service has a picture of its own, once they are asked for.
	if eval[int](b, `document.querySelectorAll("#services svg").length`) != 0 {
		t.Error("services are drawn while nobody sees them")
	}
	b.do(chromedp.Click(`#each summary`))
	b.wait(`document.querySelectorAll("#services svg").length >= 8`)
	for _, w := range []int64{1400, 390} {
		b.do(chromedp.EmulateViewport(w, 900))
		b.wait(fmt.Sprintf("innerWidth === %d", w))
		for _, fault := range eval[[]string](b, clipped) {
			t.Errorf("services at %d px: %s", w, fault)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		t.Error("the page complains: ", f)
	}
	if len(b.requests) != 1 {
		t.Errorf("requests: %v, want the page alone", b.requests)
	}
}

// TestScreenshots writes pictures of the page, for people to look at, to the folder named by FORESAIL_SCREENSHOTS; of
// the runs kept in FORESAIL_COMPARED where that is set.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("FORESAIL_SCREENSHOTS")
	if dir == "" {
		t.Skip("set FORESAIL_SCREENSHOTS to a folder to get pictures of the page")
	}
	kept := os.Getenv("FORESAIL_COMPARED")
	if kept == "" {
		kept = "testdata/kept"
	}
	b := open(t, pageOf(t, kept))
	for _, w := range []int64{1400, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.prefer(scheme)
			b.do(chromedp.EmulateViewport(w, 900))
			b.wait(fmt.Sprintf("innerWidth === %d && document.documentElement.dataset.theme === %q", w, scheme))
			time.Sleep(300 * time.Millisecond)
			png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("compare-%d-%s.png", w, scheme)), png, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
