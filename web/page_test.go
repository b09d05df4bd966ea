package web_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/web"
)

func TestPageShowsAndStreams(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app, Mode: "auto", Manager: "guard(hpa)"})
	f.events = append(f.events, s.Events())
	b.size(1440, 900, false)
	b.open(url)
	b.wait(`document.querySelector("#v-ok .big").textContent === "Waiting"`)
	f.seconds(60)
	b.wait(`document.querySelectorAll("#graph .node").length === 36`)
	b.wait(`document.querySelectorAll("#graph .edge").length >= 40`)
	b.wait(`document.querySelector("#v-ok .big").textContent === "All met"`)
	for _, s := range f.app.Services {
		if !eval[bool](b, `[...document.querySelectorAll("#graph .node title")].some((e) => e.textContent === "`+s.Name+`")`) {
			t.Errorf("%s is not in the graph", s.Name)
		}
	}
	if n := eval[int](b, `document.querySelectorAll("#decisions > li .change").length`); n == 0 {
		t.Error("no decision is shown")
	}
	if !eval[bool](b, `[...document.querySelectorAll("#decisions .why")].some((e) => e.textContent.includes("utilisation was"))`) {
		t.Error("no decision shows its reason")
	}
	b.wait(`document.querySelectorAll(".plot canvas").length > 0`)
	// Numbers move by themselves.
	before := eval[string](b, `document.querySelector("#v-load .big").textContent`)
	f.level = 1.9
	f.seconds(6)
	b.wait(`document.querySelector("#v-load .big").textContent !== "` + before + `"`)
	b.wait(`document.querySelector("#v-ok .big").textContent.includes("missed")`)
	b.wait(`document.querySelector("#say").textContent.includes("is missed")`)
	// Cards don't overlap, and lie within the drawing.
	if n := eval[int](b, overlaps); n != 0 {
		t.Errorf("%d pairs of cards overlap or leave the graph", n)
	}
	b.clean()
}

const overlaps = `(() => {
	const r = [...document.querySelectorAll("#graph .box")].map((e) => e.getBoundingClientRect()), g = document.querySelector("#graph").getBoundingClientRect();
	let n = r.filter((a) => a.left < g.left - 1 || a.right > g.right + 1 || a.top < g.top - 1 || a.bottom > g.bottom + 1).length;
	for (let i = 0; i < r.length; i++) for (let j = i + 1; j < r.length; j++)
		if (r[i].left < r[j].right - 1 && r[j].left < r[i].right - 1 && r[i].top < r[j].bottom - 1 && r[j].top < r[i].bottom - 1) n++;
	return n;
})()`

// A server that comes back on its port is found again, with what it then has to show, another application included.
func TestPageSurvivesARestartOfTheServer(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	s, err := web.New(web.Config{App: f.app, Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	f.events = append(f.events, s.Events())
	f.seconds(5)
	b.open("http://" + addr.String())
	b.wait(`document.querySelectorAll("#graph .node").length === 36`)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	<-done
	b.wait(`document.querySelector("#link").textContent === "reconnecting…"`)

	g := newFeeder()
	g.app.Name = "after-the-restart"
	again, _ := serve(t, web.Config{App: g.app, Addr: addr.String()})
	g.events = append(g.events, again.Events())
	g.seconds(8)
	b.wait(`document.querySelector("#link").dataset.state === "live"`)
	b.wait(`document.querySelector("#title").textContent === "after-the-restart"`)
	b.wait(`document.querySelectorAll("#graph .node").length === 36`)
	b.clean("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")
}

func TestThemeIsChosenAndRemembered(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app})
	f.events = append(f.events, s.Events())
	f.seconds(3)
	b.prefer("light")
	b.open(url)
	ground := `getComputedStyle(document.body).backgroundColor`
	light := eval[string](b, ground)
	click := `document.querySelector("#theme").click(), document.documentElement.dataset.theme ?? "system"`
	if got := eval[string](b, click); got != "light" {
		t.Errorf("first click: %s", got)
	}
	if got := eval[string](b, click); got != "dark" {
		t.Errorf("second click: %s", got)
	}
	night := eval[string](b, ground)
	if night == light {
		t.Error("dark looks like light")
	}
	b.open(url)
	if got := eval[string](b, ground); got != night {
		t.Error("the theme was forgotten on reload")
	}
	eval[string](b, click) // the system's again
	b.prefer("dark")
	if got := eval[string](b, ground); got != night {
		t.Error("the system's dark theme is not followed")
	}
	b.clean()
}

// contrast is the worst contrast of text against its ground, of elements that show text on the page.
const contrast = `(() => {
	const lum = (c) => { const v = c.match(/[\d.]+/g).map(Number).slice(0, 3).map((x) => { x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; }); return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
	const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.startsWith("rgba(0, 0, 0, 0")) return c; } return "rgb(255,255,255)"; };
	let worst = [99, ""];
	for (const e of document.querySelectorAll("body *")) {
		if (e.closest("svg, .sr, .skip, .zero, noscript") || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) continue;
		const a = lum(getComputedStyle(e).color), b = lum(ground(e)), r = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (r < worst[0]) worst = [r, e.tagName + "." + e.className + ": " + e.textContent.slice(0, 30)];
	}
	return worst;
})()`

func TestTextHasContrastInBothThemes(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app, Mode: "recommend", Controls: newDemo()})
	f.events = append(f.events, s.Events())
	f.seconds(60)
	f.level = 2
	f.seconds(10)
	for _, scheme := range []string{"light", "dark"} {
		b.prefer(scheme)
		b.open(url)
		b.wait(`document.querySelector("#v-ok .big").textContent.includes("missed")`)
		if w := eval[[]any](b, contrast); w[0].(float64) < 4.5 {
			t.Errorf("%s: contrast %.2f of %s", scheme, w[0], w[1])
		}
	}
}

func TestPageWorksByKeyboard(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app, Controls: newDemo()})
	f.events = append(f.events, s.Events())
	f.seconds(40)
	b.size(1440, 900, false)
	b.open(url)
	b.wait(`document.querySelectorAll("#graph .node").length === 36`)
	active := func() string {
		return eval[string](b, `(() => { const e = document.activeElement; return e.id || e.getAttribute("class") || e.closest("th")?.tagName || e.tagName; })()`)
	}
	var walk []string
	for range 60 {
		b.do(chromedp.KeyEvent(kb.Tab))
		at := active()
		walk = append(walk, at)
		// Whatever has the focus shows it.
		if !eval[bool](b, `(() => { const e = document.activeElement; if (e === document.body) return true; const c = getComputedStyle(e);
			return c.outlineStyle !== "none" || e.classList.contains("node") && getComputedStyle(e.querySelector(".box")).strokeWidth === "2.5px"; })()`) {
			t.Errorf("%s has the focus and doesn't show it", at)
		}
	}
	order := strings.Join(walk, " ")
	at := -1
	for _, want := range []string{"skip", "theme", "level", "spike", "shape", "node", "name", "decisions", "endpoint", "scroll", "TH"} {
		i := strings.Index(order[at+1:], want)
		if i < 0 {
			t.Fatalf("%s is not reached, or out of order: %s", want, order)
		}
		at += i + 1
	}
	if n := strings.Count(order, "node"); n != 1 {
		t.Errorf("the graph takes %d tab stops, want 1", n)
	}
	// In the graph: arrows move, Enter selects, Escape lets go.
	label := `document.activeElement.getAttribute("aria-label")`
	eval[any](b, `document.querySelector("#graph .node[tabindex='0']").focus(), null`)
	first := eval[string](b, label)
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	if second := eval[string](b, label); second == first || !strings.Contains(second, "calls per second") {
		t.Errorf("arrow from %q to %q", first, second)
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait(`document.querySelector("#inspect h3") !== null`)
	b.wait(`document.querySelectorAll("#graph .node[aria-pressed='true']").length === 1`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.wait(`document.querySelector("#inspect h3") === null`)
	// The table sorts.
	eval[any](b, `document.querySelector("#services thead button").focus(), null`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait(`document.querySelector("#services thead th").getAttribute("aria-sort") === "ascending"`)
	if got := eval[string](b, `document.querySelector("#services tbody tr .name").textContent`); got != "ads" {
		t.Errorf("sorted by name, the first is %s", got)
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait(`document.querySelector("#services tbody tr .name").textContent === "write-home-timeline"`)
	b.clean()
}

func TestNothingOverflows(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	f.app.Services[2].Name = "a-service-with-a-name-that-is-far-longer-than-any-card-or-column-could-ever-hold"
	f.app.Endpoints[1].Name = "AnEndpointWhoseNameHasNoPlaceToBreakAndIsLongerThanThePhoneIsWide"
	s, url := serve(t, web.Config{App: f.app, Mode: "recommend", Manager: "guard(hpa)", Controls: newDemo()})
	f.events = append(f.events, s.Events())
	f.seconds(60)
	f.level = 2
	f.seconds(10)
	f.decide(&foresail.Plan{Manager: "guard(hpa)", Fallback: "a-reason-without-any-space-" + strings.Repeat("x", 200)}, false)
	f.seconds(1)
	for _, v := range []view{{w: 390, h: 844, phone: true}, {w: 320, h: 700, phone: true}, {w: 768, h: 1024}, {w: 1440, h: 900}, {w: 2560, h: 1440}} {
		b.size(v.w, v.h, v.phone)
		b.open(url)
		eval[any](b, `document.querySelectorAll("#services tbody button")[2].click(), document.querySelectorAll("details").forEach((d) => (d.open = true)), document.querySelector("#inspect").scrollIntoView({block: "end"})`)
		b.wait(`document.querySelector("#inspect h3") !== null`)
		b.wait(`document.querySelectorAll("#graph .node").length === 36`)
		if w := eval[int64](b, `Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)`); w > v.w {
			t.Errorf("at %d px the page is %d px wide: %s", v.w, w, eval[string](b, `[...document.querySelectorAll("main *")].filter((e) => !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + "." + e.className).slice(0, 5).join()`))
		}
		if n := eval[int](b, overlaps); n != 0 {
			t.Errorf("at %d px %d pairs of cards overlap or leave the graph", v.w, n)
		}
	}
	b.clean()
}

// What a desktop's width has room for is readable in full: families of names differ at their ends.
func TestNothingIsClipped(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app, Mode: "auto", Manager: "guard(hpa)"})
	f.events = append(f.events, s.Events())
	f.seconds(60)
	f.tell(loop.Decision{At: f.now, Mode: loop.Auto, Plan: &foresail.Plan{Manager: "guard(sinan)",
		Outlook: &foresail.Outlook{Known: true, Percentile: 99.9, Latency: 0.8888, Limit: 0.47, Violation: 0.288, Scored: 100, Missed: 33}}})
	const clipped = `[...document.querySelectorAll(".calls span, .cell .sub, .cell .big")].filter((e) => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight + 1).map((e) => e.textContent).join()`
	for _, v := range []view{{w: 390, h: 844, phone: true}, {w: 1024, h: 768}, {w: 1440, h: 900}} {
		b.size(v.w, v.h, v.phone)
		b.open(url)
		b.wait(`document.querySelectorAll("#services tbody button").length === 36`)
		for _, name := range []string{"post-storage", "compose-post", "user-memcached"} {
			i := slices.IndexFunc(f.app.Services, func(s foresail.Service) bool { return s.Name == name })
			eval[any](b, fmt.Sprintf(`document.querySelector("#services tbody button[data-i='%d']").click(), document.querySelector("#inspect").scrollIntoView()`, i))
			b.wait(fmt.Sprintf(`document.querySelector("#inspect h3")?.textContent === %q`, name))
			if c := eval[string](b, clipped); c != "" {
				t.Errorf("at %d px, %s: clipped: %s", v.w, name, c)
			}
		}
	}
	b.clean()
}

func TestControlsPost(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	d := newDemo()
	s, url := serve(t, web.Config{App: f.app, Controls: d})
	f.events = append(f.events, s.Events())
	f.seconds(3)
	b.open(url)
	b.wait(`!document.querySelector("#controls").hidden`)
	got := func() web.LoadChange {
		t.Helper()
		select {
		case c := <-d.got:
			return c
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was posted")
			panic("unreachable")
		}
	}
	eval[any](b, `document.querySelector("#level").focus(), null`)
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	if c := got(); c.Level == nil || *c.Level < 1.04 || *c.Level > 1.06 {
		t.Errorf("the slider posted %+v", c)
	}
	eval[any](b, `document.querySelector("#spike").click(), null`)
	if c := got(); !c.Spike {
		t.Errorf("the button posted %+v", c)
	}
	eval[any](b, `(() => { const s = document.querySelector("#shape"); s.value = "ramp"; s.dispatchEvent(new Event("change")); })()`)
	if c := got(); c.Shape == nil || *c.Shape != "ramp" {
		t.Errorf("the list posted %+v", c)
	}
	eval[any](b, `(() => { const r = document.querySelector("#mix-list input"); r.value = 10; r.dispatchEvent(new Event("input")); })()`)
	if c := got(); len(c.Mix) != 4 || c.Mix[0] != 10 {
		t.Errorf("the mix posted %+v", c)
	}
	b.clean()
}

func TestHostileNamesAreText(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	evil := `<img src=x onerror="window.hit=1"><script>window.hit=1</script>`
	f.app.Name, f.app.Services[0].Name, f.app.Endpoints[0].Name = evil, evil, evil
	s, url := serve(t, web.Config{App: f.app, Manager: evil, Mode: "auto"})
	f.events = append(f.events, s.Events())
	f.seconds(5)
	f.decide(&foresail.Plan{Manager: evil, Note: evil, Fallback: evil, Changes: []foresail.Change{{Service: 0, To: foresail.Allocation{Replicas: 9, CPU: 1},
		Reason: foresail.Reason{Text: evil, Bound: evil, Considered: []string{evil}}}}}, true)
	f.seconds(1)
	b.open(url)
	b.wait(`document.querySelectorAll("#graph .node").length === 36`)
	eval[any](b, `document.querySelector("#services tbody button[data-i='0']").click(), document.querySelectorAll("details").forEach((d) => (d.open = true)), document.querySelector("#inspect").scrollIntoView({block: "end"})`)
	b.wait(`document.querySelector("#inspect h3") !== null`)
	if eval[bool](b, `window.hit === 1 || document.querySelectorAll("main img, main script").length > 0`) {
		t.Error("a name became markup")
	}
	if got := eval[string](b, `document.querySelector("#inspect h3").textContent`); got != evil {
		t.Errorf("the name is shown as %q", got)
	}
	b.clean()
}

// Nothing is drawn while nobody sees it.
func TestHiddenPageDrawsNothing(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app})
	f.events = append(f.events, s.Events())
	f.seconds(5)
	b.open(url)
	b.wait(`document.querySelectorAll("#graph .node").length === 36`)
	eval[any](b, `Object.defineProperty(document, "hidden", { value: true, configurable: true }), null`)
	before, load := eval[string](b, `document.querySelector("#graph .nums").textContent`), eval[string](b, `document.querySelector("#v-load .big").textContent`)
	f.level = 1.5
	f.seconds(7)
	b.wait(`document.querySelector("#v-load .big").textContent !== "` + load + `"`)
	if now := eval[string](b, `document.querySelector("#graph .nums").textContent`); now != before {
		t.Errorf("the graph was drawn in a hidden page: %q became %q", before, now)
	}
	eval[any](b, `delete document.hidden, document.dispatchEvent(new Event("visibilitychange"))`)
	b.wait(`document.querySelector("#graph .nums").textContent !== "` + before + `"`)
	b.clean()
}

// The layers of the graph go from callers to callees, left to right, cycles and services that nobody calls included.
func TestGraphIsLaidOutByCallDepth(t *testing.T) {
	b := browser(t)
	_, url := serve(t, web.Config{App: newFeeder().app})
	b.open(url)
	got := eval[string](b, `import("/js/layout.js").then(({ layout }) => { globalThis.got = (n, edges, roots) => layout(n, edges, roots, 900).cards.map((c) => c.layer).join(); return "ready"; }), "asked"`)
	if got != "asked" {
		t.Fatal(got)
	}
	b.wait(`typeof globalThis.got === "function"`)
	for _, c := range []struct{ call, want, why string }{
		{`got(3, [[0, 1], [1, 2], [0, 2]], [0])`, "0,1,2", "a callee is right of all its callers"},
		{`got(3, [[0, 1], [1, 2], [2, 0]], [0])`, "0,1,2", "a cycle is broken at its entry"},
		{`got(2, [[0, 0], [0, 1]], [0])`, "0,1", "a call to itself moves nothing"},
		{`got(4, [[0, 1]], [0])`, "0,1,0,1", "what nobody calls goes where there is room"},
		{`got(4, [], [0])`, "0,1,0,1", "without calls the services stand in a square"},
		{`got(0, [], [])`, "", "no services, no cards"},
		{`got(1, [], [0])`, "0", "one service"},
	} {
		if got := eval[string](b, c.call); got != c.want {
			t.Errorf("%s: layers %s, want %s: %s", c.call, got, c.want, c.why)
		}
	}
	// A graph of a thousand services doesn't hold the page up.
	if ms := eval[float64](b, `(() => { const e = []; for (let i = 1; i < 1000; i++) e.push([Math.floor(i / 3), i], [Math.floor(i / 5), i]); const t = performance.now(); got(1000, e, [0]); return performance.now() - t; })()`); ms > 4000 {
		t.Errorf("a thousand services take %.0f ms", ms)
	} else {
		t.Logf("a thousand services take %.0f ms", ms)
	}
}

// Where the manager predicts latency the page says what it expects, and whether it is believed; where none does, it says
// nothing of that.
func TestPageShowsWhatIsExpected(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app, Mode: "auto"})
	f.events = append(f.events, s.Events())
	f.seconds(3)
	b.open(url)
	if !eval[bool](b, `document.querySelector("#v-next").hidden`) {
		t.Error("something is expected though nobody predicts")
	}
	says := func(o foresail.Outlook, big, sub, state string) {
		t.Helper()
		f.tell(loop.Decision{At: f.now, Mode: loop.Auto, Plan: &foresail.Plan{Manager: "guard(sinan)", Outlook: &o}})
		b.wait(fmt.Sprintf(`(() => { const c = document.querySelector("#v-next"), plain = (q) => c.querySelector(q).textContent.replaceAll("\u202f", " ");
			return !c.hidden && plain(".big").includes(%q) && plain(".sub").includes(%q) && (c.dataset.state ?? "") === %q })()`, big, sub, state))
	}
	o := foresail.Outlook{Known: true, Percentile: 99, Latency: 0.312, Limit: 0.47, Violation: 0.031, Trusted: true, Scored: 80, Missed: 1}
	says(o, "p99 312", "1 of 80 missed", "")
	o.Latency = 0.48
	says(o, "p99 480", "3.1", "bad")
	o.Trusted, o.Missed = false, 3
	says(o, "p99 480", "not trusted: 3 of 80 missed", "warn")
	says(foresail.Outlook{Trusted: true}, "Not asked", "not tried yet", "wait")
	b.clean()
}

// A danger that was foreseen is a decision like any other, with what was done about it beneath.
func TestPageShowsDangers(t *testing.T) {
	b := browser(t)
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app, Mode: "auto"})
	f.events = append(f.events, s.Events())
	f.seconds(3)
	b.size(1440, 900, false)
	b.open(url)
	b.wait(`document.querySelector("#v-ok .big").textContent !== ""`)
	eval[bool](b, `(document.querySelector("#decisions").scrollIntoView(), true)`) // what is not on screen is not drawn
	more := f.alloc[3]
	more.CPU *= 1.5
	f.tell(loop.Decision{At: f.now, Mode: loop.Auto, Applied: true, Before: append([]foresail.Allocation(nil), f.alloc...), Plan: &foresail.Plan{Manager: "seer(hpa)",
		Alarms:  []foresail.Alarm{{Service: 3, Text: "a violation is expected within 500ms"}},
		Changes: []foresail.Change{{Service: 3, To: more, Reason: foresail.Reason{Text: "it gets half as much again"}}}}})
	name := f.app.Services[3].Name
	b.wait(fmt.Sprintf(`(() => { const t = document.querySelector("#decisions li.warn")?.textContent ?? "";
		return t.includes("Danger at " + %q) && t.includes("within 500ms") && t.includes("half as much again") })()`, name))
	f.tell(loop.Decision{At: f.now, Mode: loop.Auto, Plan: &foresail.Plan{Manager: "seer(hpa)", Alarms: []foresail.Alarm{{Service: 2, Text: "another one"}}}})
	b.wait(fmt.Sprintf(`(document.querySelector("#decisions li")?.textContent ?? "").includes("Danger at " + %q)`, f.app.Services[2].Name))
	b.clean()
}
