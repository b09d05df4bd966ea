package web_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/web"
)

// demo is controls that do what they are told.
type demo struct {
	state web.LoadState
	got   chan web.LoadChange
}

func newDemo() *demo {
	return &demo{state: web.LoadState{Level: 1, MaxLevel: 4, Rate: 595, Shape: "diurnal", Shapes: []string{"constant", "diurnal", "ramp"},
		Mix: []float64{0.7, 0.05, 0.15, 0.1}, Spike: 3, SpikeS: 20}, got: make(chan web.LoadChange, 100)}
}

func (d *demo) Load() web.LoadState { return d.state }

func (d *demo) Change(c web.LoadChange) error {
	select {
	case d.got <- c:
		return nil
	default:
		return errors.New("too many changes")
	}
}

// TestScreenshots writes pictures of the page in its states, for people to look at, to the folder named by
// FORESAIL_SCREENSHOTS.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("FORESAIL_SCREENSHOTS")
	if dir == "" {
		t.Skip("set FORESAIL_SCREENSHOTS to a folder to get pictures of the page")
	}
	states := map[string]func(f *feeder) web.Config{
		"empty":  func(f *feeder) web.Config { return web.Config{} },
		"normal": func(f *feeder) web.Config { f.seconds(420); return web.Config{Controls: newDemo()} },
		"violation": func(f *feeder) web.Config {
			f.seconds(420)
			f.level = 1.7
			f.seconds(12)
			return web.Config{Controls: newDemo()}
		},
		"predicted": func(f *feeder) web.Config {
			f.seconds(420)
			f.tell(loop.Decision{At: f.now, Mode: loop.Auto, Applied: true, Plan: &foresail.Plan{Manager: "guard(sinan)",
				Outlook: &foresail.Outlook{Known: true, Percentile: 99, Latency: 0.312, Limit: 0.47, Violation: 0.031, Trusted: true, Scored: 100, Missed: 1}}})
			return web.Config{Controls: newDemo()}
		},
		"mistrusted": func(f *feeder) web.Config {
			f.seconds(420)
			f.tell(loop.Decision{At: f.now, Mode: loop.Auto, Applied: true, Plan: &foresail.Plan{Manager: "guard(sinan)",
				Outlook: &foresail.Outlook{Known: true, Percentile: 99, Latency: 0.512, Limit: 0.44, Violation: 0.31, Scored: 100, Missed: 3}}})
			return web.Config{}
		},
		"fallback": func(f *feeder) web.Config {
			f.seconds(200)
			f.tell(loop.Decision{At: f.now, Mode: loop.Auto, Applied: true, Plan: &foresail.Plan{Manager: "guard(hpa)",
				Fallback: "the manager returned an error (no model for this application), so the reactive baseline decides"}})
			f.seconds(3)
			return web.Config{}
		},
		"recommend": func(f *feeder) web.Config {
			f.seconds(60)
			f.level = 1.4
			f.seconds(14)
			f.decide(&foresail.Plan{Manager: "guard(hpa)"}, false)
			f.beat()
			return web.Config{Mode: "recommend"}
		},
		"stale": func(f *feeder) web.Config { f.seconds(120); f.silent = true; f.seconds(9); return web.Config{} },
	}
	b := browser(t)
	if url := os.Getenv("FORESAIL_SCREENSHOT_URL"); url != "" { // a page that is served already
		for _, v := range views {
			v.shoot(t, b, url, filepath.Join(dir, "live-"+v.name))
		}
		return
	}
	only := os.Getenv("FORESAIL_SCREENSHOT_STATE")
	for name, prepare := range states {
		if only != "" && name != only {
			continue
		}
		f := newFeeder()
		var feed relay
		f.events = append(f.events, feed.events())
		cfg := prepare(f)
		cfg.App, cfg.Manager, cfg.Mode = f.app, "guard(hpa)", orElse(cfg.Mode, "auto")
		s, url := serve(t, cfg)
		feed.replay(s.Events())
		for _, v := range views {
			if v.w == 2560 && name != "normal" && name != "violation" {
				continue
			}
			v.shoot(t, b, url, filepath.Join(dir, name+"-"+v.name))
		}
		b.do(chromedp.Navigate("about:blank"))
	}
	b.clean()
}

type view struct {
	name   string
	w, h   int64
	scheme string
	phone  bool
	pick   bool // a service is selected
}

var views = []view{{"1440-light", 1440, 900, "light", false, false}, {"1440-dark", 1440, 900, "dark", false, true},
	{"2560-light", 2560, 1440, "light", false, false}, {"390-light", 390, 844, "light", true, false}}

// shoot takes the first screen and the whole page.
func (v view) shoot(t *testing.T, b *tab, url, path string) {
	b.size(v.w, v.h, v.phone)
	b.prefer(v.scheme)
	b.open(url)
	if v.pick {
		eval[any](b, `document.querySelectorAll("#services tbody button")[8].click(), scrollTo(0, 0)`)
	}
	b.do(chromedp.Sleep(800 * time.Millisecond))
	for _, part := range []string{"first", "full"} {
		if part == "full" { // parts off screen are not drawn: make the window as tall as the page
			b.size(v.w, max(eval[int64](b, `document.documentElement.scrollHeight`), v.h), v.phone)
			b.do(chromedp.Sleep(600 * time.Millisecond))
		}
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"-"+part+".png", png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func orElse(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// relay keeps events until there is somebody to tell.
type relay struct{ calls []func(loop.Events) }

func (r *relay) events() loop.Events {
	return loop.Events{
		Observed: func(h *foresail.History, s *foresail.Snapshot) {
			sec := h.Seconds(1)
			r.calls = append(r.calls, func(e loop.Events) {
				past := foresail.NewHistory(h.App(), foresail.Needs{})
				for _, s := range sec {
					past.Add(s)
				}
				e.Observed(past, s)
			})
		},
		Decided: func(d loop.Decision) { r.calls = append(r.calls, func(e loop.Events) { e.Decided(d) }) },
	}
}

func (r *relay) replay(e loop.Events) {
	for _, c := range r.calls {
		c(e)
	}
}
