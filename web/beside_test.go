package web_test

import (
	"testing"
	"time"

	"foresail.dev/web"
)

// besides feeds a page with two runs, the other first, at four times the load.
func besides(s *web.Server) (shown, other *feeder, seconds func(n int)) {
	shown, other = newFeeder(), newFeeder()
	other.level = 4
	shown.events, other.events = append(shown.events, s.Events()), append(other.events, s.Beside())
	return shown, other, func(n int) {
		for range n {
			other.seconds(1)
			shown.seconds(1)
		}
	}
}

// Each second of the run that is shown goes with the same second of the run beside; where there is none there is nothing.
func TestBeside(t *testing.T) {
	s, err := web.New(web.Config{App: newFeeder().app, Every: 20 * time.Millisecond, Beside: "alone"})
	if err != nil {
		t.Fatal(err)
	}
	shown, other, seconds := besides(s)
	seconds(20)
	st, now := state(t, s.Handler())
	if st["beside"] != "alone" {
		t.Errorf("the run beside is called %v", st["beside"])
	}
	missed, points := 0, list(now, "points")
	for i, p := range points {
		own := p.(object)["endpoints"].([]any)[0].(object)
		b, ok := p.(object)["beside"].(object)
		if !ok {
			t.Fatalf("second %d has nothing beside", i)
		}
		e := list(b, "endpoints")[0].(object)
		if e["p99"].(float64) <= own["p99"].(float64) || e["r"] != nil || b["cores_allocated"] == nil {
			t.Errorf("second %d: %v, and beside %v", i, own, b)
		}
		if e["v"] == true {
			missed++
		}
	}
	if missed == 0 || len(points) != 20 {
		t.Errorf("%d windows missed beside, in %d points", missed, len(points))
	}
	shown.seconds(1) // the other has ended
	_, now = state(t, s.Handler())
	points = list(now, "points")
	if points[len(points)-1].(object)["beside"] != nil {
		t.Error("made up")
	}
	other.seconds(100) // or runs away: what is kept is bounded, which nobody notices
	seconds(1)
}

func TestPageShowsWhatIsBeside(t *testing.T) {
	b := browser(t)
	s, url := serve(t, web.Config{App: newFeeder().app, Mode: "auto", Beside: "without foresight"})
	_, _, seconds := besides(s)
	seconds(30)
	b.size(1440, 900, false)
	b.open(url)
	b.wait(`document.querySelector("#v-ok .big").textContent !== ""`)
	eval[bool](b, `(document.querySelector("#c1").scrollIntoView(), true)`)
	b.wait(`document.querySelector("#c1-keys").textContent.includes("p99 without foresight") && document.querySelector("#c1-keys").textContent.includes("missed without foresight")`)
	b.wait(`document.querySelector("#c2-keys").textContent.includes("allocated without foresight")`)
	b.clean()
}
