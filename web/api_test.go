package web_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/web"
)

type object = map[string]any

// page is a server without an address of its own, and a feeder that plays to it.
func page(t testing.TB, change func(*web.Config)) (*feeder, http.Handler) {
	t.Helper()
	f := newFeeder()
	cfg := web.Config{App: f.app, Mode: "auto", Manager: "guard(hpa)", Every: 20 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	s, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.events = append(f.events, s.Events())
	return f, s.Handler()
}

func get(t testing.TB, h http.Handler, path string) (*httptest.ResponseRecorder, object) {
	t.Helper()
	r := httptest.NewRequest("GET", "http://localhost"+path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var o object
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
			t.Fatalf("%s: %v: %s", path, err, w.Body)
		}
	}
	return w, o
}

func state(t testing.TB, h http.Handler) (st, now object) {
	t.Helper()
	_, o := get(t, h, "/api/v1/state")
	return o, o["now"].(object)
}

func list(o object, key string) []any {
	l, _ := o[key].([]any)
	return l
}

func TestStateBeforeTheFirstSnapshotClaimsNothing(t *testing.T) {
	_, h := page(t, nil)
	st, now := state(t, h)
	if st["schema"] != "foresail.dev/state/v1" || st["title"] != "social-network" {
		t.Errorf("state is %v", st["schema"])
	}
	if n := len(list(st["app"].(object), "services")); n != 36 {
		t.Errorf("%d services, want 36", n)
	}
	for _, key := range []string{"at", "services", "endpoints", "edges", "totals", "points", "decisions"} {
		if v, ok := now[key]; ok {
			t.Errorf("%s is %v before anything was observed", key, v)
		}
	}
	if _, o := get(t, h, "/api/v1/healthz"); o["status"] != "waiting" {
		t.Errorf("health is %v, want waiting", o)
	}
}

func TestStateShowsWhatWasObserved(t *testing.T) {
	f, h := page(t, nil)
	f.seconds(40)
	_, now := state(t, h)
	if n := len(list(now, "points")); n != 40 {
		t.Errorf("%d points after 40 s", n)
	}
	if n := len(list(now, "services")); n != 36 {
		t.Errorf("%d services", n)
	}
	s := list(now, "services")[0].(object)
	rate := f.rates(1)[0]
	if got := s["calls_s"].(float64); got < rate*0.7 || got > rate*1.4 {
		t.Errorf("nginx-thrift has %g calls/s, fed about %g", got, rate)
	}
	e := list(now, "endpoints")[0].(object)
	for _, key := range []string{"p50_ms", "p95_ms", "p99_ms", "at_objective_ms", "budget_left", "violation_share"} {
		if _, ok := e[key].(float64); !ok {
			t.Errorf("endpoint has no %s: %v", key, e)
		}
	}
	total := now["totals"].(object)
	want := 0.0
	for _, a := range f.alloc {
		want += a.Cores()
	}
	if got := total["cores_allocated"].(float64); got != want {
		t.Errorf("%g cores allocated, want %g", got, want)
	}
	if _, o := get(t, h, "/api/v1/healthz"); o["status"] != "ok" {
		t.Errorf("health is %v", o)
	}
}

func TestWhatWasNotObservedIsAbsent(t *testing.T) {
	f, h := page(t, nil)
	// A source that knows arrivals of one service alone, and 0 of them.
	s := &foresail.Snapshot{Start: f.now, End: f.now.Add(time.Second), Services: make([]foresail.ServiceStats, 36)}
	s.Services[1].Has = foresail.SignalArrivals
	f.h.Add(s)
	f.events[0].Observed(f.h, s)
	_, now := state(t, h)
	services := list(now, "services")
	if o := services[0].(object); len(o) != 0 {
		t.Errorf("a service of which nothing was observed has %v", o)
	}
	if o := services[1].(object); len(o) != 1 || o["calls_s"] != 0.0 {
		t.Errorf("a service that was observed to have no calls has %v, want calls_s 0 alone", o)
	}
	for _, e := range list(now, "endpoints") {
		for key := range e.(object) {
			if strings.HasSuffix(key, "_ms") || strings.HasSuffix(key, "_s") {
				t.Errorf("%s of an endpoint that wasn't observed", key)
			}
		}
	}
	if v, ok := now["totals"].(object)["cores_used"]; ok {
		t.Errorf("cores used are %v though no CPU was observed", v)
	}
}

func TestViolationIsJudgedAndEnds(t *testing.T) {
	f, h := page(t, nil)
	status := func() any {
		_, now := state(t, h)
		return list(now, "endpoints")[0].(object)["status"]
	}
	f.level = 0.8
	f.seconds(10)
	if s := status(); s != "met" {
		t.Fatalf("status is %v under light load", s)
	}
	f.level = 1.8
	f.seconds(3)
	if s := status(); s != "violated" {
		t.Fatalf("status is %v under heavy load", s)
	}
	f.level = 0.5
	f.seconds(8)
	if s := status(); s != "met" {
		t.Errorf("status is %v after more than five good windows", s)
	}
	_, now := state(t, h)
	marked := 0
	for _, p := range list(now, "points") {
		if p.(object)["endpoints"].([]any)[0].(object)["v"] == true {
			marked++
		}
	}
	if marked < 3 || marked > 5 {
		t.Errorf("%d of the points are marked as violated, want those of 3 s", marked)
	}
}

func TestSilenceIsShownAsSilence(t *testing.T) {
	f, h := page(t, nil)
	f.seconds(20)
	f.silent = true
	f.seconds(7)
	_, now := state(t, h)
	if now["stale"] != true || now["silent_s"] != 7.0 {
		t.Errorf("stale %v for %v s, want 7", now["stale"], now["silent_s"])
	}
	if o := list(now, "services")[0].(object); len(o) != 0 {
		t.Errorf("a silent service still has %v", o)
	}
	if _, o := get(t, h, "/api/v1/healthz"); o["status"] != "stale" {
		t.Errorf("health is %v", o)
	}
	f.silent = false
	f.seconds(1)
	if _, now = state(t, h); now["stale"] == true {
		t.Error("still stale after telemetry came back")
	}
}

func TestDecisionsWithReasons(t *testing.T) {
	f, h := page(t, nil)
	f.seconds(2)
	a := f.alloc[3]
	more, same := a, a
	more.Replicas++
	before := append([]foresail.Allocation(nil), f.alloc...)
	plan := &foresail.Plan{Manager: "guard(hpa)", Changes: []foresail.Change{
		{Service: 3, To: more, Reason: foresail.Reason{Rule: "r", Text: "load grows", Bound: "step limit", Considered: []string{"wait"}}},
		{Service: 4, To: f.alloc[4], Reason: foresail.Reason{Rule: "guard/cooldown", Text: "held"}},
		{Service: 99, To: same},
	}}
	d := loop.Decision{At: f.now, Mode: loop.Recommend, Plan: plan, Before: before}
	for range 3 {
		f.tell(d)
	}
	f.tell(loop.Decision{At: f.now, Mode: loop.Recommend}) // keep what is
	_, now := state(t, h)
	ds := list(now, "decisions")
	if len(ds) != 1 {
		t.Fatalf("%d decisions, want the same three as one, and none for keeping what is", len(ds))
	}
	o := ds[0].(object)
	if o["repeated"] != 2.0 || o["held"] != 1.0 || o["mode"] != "recommend" || o["applied"] != false {
		t.Errorf("decision is %v", o)
	}
	c := list(o, "changes")[0].(object)
	if c["service"] != 3.0 || c["reason"].(object)["bound"] != "step limit" || c["from"].(object)["replicas"] != float64(a.Replicas) {
		t.Errorf("change is %v", c)
	}
	if n := len(list(now, "why")); n != 2 {
		t.Errorf("%d services have a reason, want the changed and the held one", n)
	}
}

func TestFallbackAndErrorsComeAndGo(t *testing.T) {
	f, h := page(t, nil)
	f.tell(loop.Decision{Mode: loop.Auto, Plan: &foresail.Plan{Manager: "g", Fallback: "no model"}})
	if _, now := state(t, h); now["fallback"] != "no model" {
		t.Errorf("fallback is %v", now["fallback"])
	}
	f.tell(loop.Decision{Mode: loop.Auto, Err: errors.New("apply: service 2: denied"), Plan: &foresail.Plan{Manager: "g"}})
	_, now := state(t, h)
	if now["fallback"] != nil || now["error"] != "apply: service 2: denied" {
		t.Errorf("after a failed decision: fallback %v, error %v", now["fallback"], now["error"])
	}
	ds := list(now, "decisions")
	if len(ds) != 2 || ds[1].(object)["fallback_ended"] != "no model" {
		t.Errorf("decisions are %v", ds)
	}
	f.tell(loop.Decision{Mode: loop.Auto})
	if _, now = state(t, h); now["error"] != nil {
		t.Errorf("the error stays after a good decision: %v", now["error"])
	}
}

func TestKeepsAreBounded(t *testing.T) {
	f, h := page(t, nil)
	f.seconds(640)
	for i := range 300 {
		f.tell(loop.Decision{Mode: loop.Auto, Plan: &foresail.Plan{Fallback: strings.Repeat("n", i+1)}})
	}
	_, now := state(t, h)
	if n := len(list(now, "points")); n != 600 {
		t.Errorf("%d points are kept, want 600", n)
	}
	if n := len(list(now, "decisions")); n != 200 {
		t.Errorf("%d decisions are kept, want 200", n)
	}
}

func TestFollowsANewGenerationAndAnotherApplication(t *testing.T) {
	f, h := page(t, nil)
	f.seconds(5)
	grown := *f.app
	grown.Generation++
	grown.Services = append(append([]foresail.Service(nil), f.app.Services...), foresail.Service{Name: "new"})
	f.h.SetApp(&grown)
	f.seconds(2)
	st, now := state(t, h)
	if n := len(list(st["app"].(object), "services")); n != 37 {
		t.Errorf("%d services after one came", n)
	}
	if n := len(list(now, "points")); n != 7 {
		t.Errorf("%d points: what was kept of the same application should stay", n)
	}
	f.h.SetApp(&foresail.App{Name: "other", Services: []foresail.Service{{Name: "one"}}})
	f.seconds(1)
	st, now = state(t, h)
	if st["app"].(object)["name"] != "other" || len(list(now, "points")) != 1 || len(list(now, "services")) != 1 {
		t.Errorf("after another application came: %v, %d points", st["app"], len(list(now, "points")))
	}
}

// event is one server-sent event.
type event struct{ kind, id, data string }

func readEvent(t testing.TB, sc *bufio.Scanner) (event, bool) {
	t.Helper()
	var e event
	for sc.Scan() {
		switch key, v, _ := strings.Cut(sc.Text(), ": "); key {
		case "event":
			e.kind = v
		case "id":
			e.id = v
		case "data":
			e.data = v
		case "":
			if e.data != "" {
				return e, true
			}
		}
	}
	return e, false
}

func TestStreamStartsWithTheStateAndNumbersUpdates(t *testing.T) {
	f, h := page(t, nil)
	f.seconds(3)
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	res, err := http.Get(ts.URL + "/api/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	sc := newScanner(res)
	first, ok := readEvent(t, sc)
	var st struct {
		Now struct {
			Seq    uint64
			Points []any
		}
	}
	if err := json.Unmarshal([]byte(first.data), &st); err != nil || !ok || first.kind != "state" || len(st.Now.Points) != 3 {
		t.Fatalf("first event %q, %d points, %v", first.kind, len(st.Now.Points), err)
	}
	last, points := st.Now.Seq, 0
	for points < 5 {
		f.seconds(1)
		e, ok := readEvent(t, sc)
		var u struct {
			Seq    uint64
			Points []any
		}
		if err := json.Unmarshal([]byte(e.data), &u); err != nil || !ok || e.kind != "update" {
			t.Fatalf("event %q: %v", e.kind, err)
		}
		if u.Seq <= last {
			t.Fatalf("update %d after %d", u.Seq, last)
		}
		last = u.Seq
		points += len(u.Points)
	}
}

func TestStreamsAreLimited(t *testing.T) {
	_, h := page(t, func(c *web.Config) { c.MaxClients = 2 })
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	open := func() *http.Response {
		res, err := http.Get(ts.URL + "/api/v1/stream")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	first := open()
	open()
	third := open()
	body, _ := io.ReadAll(third.Body)
	if third.StatusCode != http.StatusServiceUnavailable || third.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "limit") {
		t.Fatalf("third stream: %d %s", third.StatusCode, body)
	}
	first.Body.Close()
	for range 200 { // its place is free once the server has noticed
		res := open()
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
	}
	t.Error("a place that was given back was not free again")
}

// A client that never reads holds nothing up: neither the loop nor the others.
func TestSlowClientHoldsNothingUp(t *testing.T) {
	f, h := page(t, nil)
	f.seconds(600) // a large first event, so that socket buffers fill
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	for range 5 {
		c, err := net.Dial("tcp", ts.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	start := time.Now()
	f.seconds(60)
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("600 beats took %s with slow clients", d)
	}
	if w, _ := get(t, h, "/api/v1/state"); w.Code != http.StatusOK {
		t.Errorf("state answers %d", w.Code)
	}
}

// What a manager expects of latency is shown as long as it is new; what it was not asked for is absent.
func TestOutlook(t *testing.T) {
	f, h := page(t, nil)
	f.seconds(2)
	tell := func(o *foresail.Outlook) object {
		f.tell(loop.Decision{At: f.now, Mode: loop.Auto, Plan: &foresail.Plan{Manager: "guard(sinan)", Outlook: o}})
		_, now := state(t, h)
		got, _ := now["outlook"].(object)
		if len(list(now, "decisions")) != 0 {
			t.Error("an outlook alone is shown as a decision")
		}
		return got
	}
	got := tell(&foresail.Outlook{Known: true, Percentile: 99, Latency: 0.312, Limit: 0.47, Violation: 0, Trusted: true, Scored: 80, Missed: 1})
	for k, want := range map[string]any{"percentile": 99.0, "latency_ms": 312.0, "limit_ms": 470.0, "violation": 0.0, "trusted": true, "scored": 80.0, "missed": 1.0} {
		if got[k] != want {
			t.Errorf("%s is %v, want %v", k, got[k], want)
		}
	}
	got = tell(&foresail.Outlook{Scored: 80, Missed: 3})
	if _, there := got["latency_ms"]; there || got["trusted"] != false || got["missed"] != 3.0 {
		t.Errorf("without a prediction: %v", got)
	}
	if got = tell(nil); got == nil {
		t.Error("gone after one decision without it")
	}
	f.seconds(6)
	if got = tell(nil); got != nil {
		t.Errorf("still there after six seconds: %v", got)
	}
}

// A danger that is foreseen is told where it is, also where nothing can be done about it; one of a service that is not known is not.
func TestAlarms(t *testing.T) {
	f, h := page(t, nil)
	f.seconds(2)
	alarms := []foresail.Alarm{{Service: 3, Probability: 0.8, Text: "a violation is expected"}, {Service: 999}}
	f.tell(loop.Decision{At: f.now, Mode: loop.Auto, Plan: &foresail.Plan{Manager: "seer(hpa)", Alarms: alarms}})
	_, now := state(t, h)
	ds := list(now, "decisions")
	if len(ds) != 1 {
		t.Fatalf("%d decisions", len(ds))
	}
	got := list(ds[0].(object), "alarms")
	if len(got) != 1 || got[0].(object)["service"] != 3.0 || got[0].(object)["text"] != "a violation is expected" {
		t.Errorf("alarms are %v", got)
	}
}
