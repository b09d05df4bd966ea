package web_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"foresail.dev/web"
)

// browser starts a fresh headless Chromium for a test, or skips it where there is none.
func browser(t testing.TB) *tab {
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
	bt := &tab{T: t}
	ctx, err := bt.start(path)
	for range 2 { // now and then Chromium crashes as it starts, whatever it is to show
		if err != nil {
			t.Logf("Chromium doesn't start, once more: %v", err)
			ctx, err = bt.start(path)
		}
	}
	if err != nil {
		t.Fatal("Chromium doesn't start: ", err)
	}
	limited, cancel := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	bt.ctx = limited
	return bt
}

// start starts a browser of its own, which ends with the test.
func (b *tab) start(path string) (context.Context, error) {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(b.T.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	b.T.Cleanup(stop)
	ctx, stopTab := chromedp.NewContext(ctx, chromedp.WithListener(b.hear))
	b.T.Cleanup(func() {
		chromedp.Cancel(ctx) // waits for the browser to end, so that its directory can be removed
		stopTab()
	})
	return ctx, chromedp.Do(ctx)
}

// tab is a page in a browser, and what it complained about: exceptions, console errors, violations of the policy.
type tab struct {
	T   testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string
}

func (b *tab) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			for _, a := range e.Args {
				b.faults = append(b.faults, "console: "+string(a.Value)+a.Description)
			}
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			b.faults = append(b.faults, "log: "+e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// clean fails the test for each complaint that holds none of the words that the test expects.
func (b *tab) clean(but ...string) {
	b.T.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.faults {
		if !slices.ContainsFunc(but, func(w string) bool { return strings.Contains(s, w) }) {
			b.T.Error("the page complains: ", s)
		}
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.T.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.T.Fatal(err)
	}
}

// open loads the page and waits until it has its first state.
func (b *tab) open(url string) {
	b.T.Helper()
	b.do(chromedp.Navigate(url))
	b.wait(`document.querySelector("#link").dataset.state === "live"`)
}

func (b *tab) size(w, h int64, phone bool) {
	b.T.Helper()
	if phone {
		b.do(chromedp.EmulateViewport(w, h, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2)))
	} else {
		b.do(chromedp.EmulateViewport(w, h))
	}
}

// prefer emulates the system's colour scheme and its wish for less motion.
func (b *tab) prefer(scheme string) {
	b.T.Helper()
	p := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, p)
		return err
	}))
}

// eval is the value of a JavaScript expression.
func eval[T any](b *tab, expr string) T {
	b.T.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expr))
	if err != nil {
		b.T.Fatalf("%s: %v", expr, err)
	}
	return v
}

// wait polls a JavaScript expression until it is true.
func (b *tab) wait(expr string) {
	b.T.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expr)); err == nil && ok {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.T.Fatal("never true: ", expr, "; the page complained: ", b.faults)
}

// serve starts a server on a free port, or the given address, and returns its URL.
func serve(t testing.TB, cfg web.Config) (*web.Server, string) {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	s, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown: ", err)
		}
		if err := <-done; err != nil {
			t.Error("serve: ", err)
		}
	})
	return s, s.URL()
}
