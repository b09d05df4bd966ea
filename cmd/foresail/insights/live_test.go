package insights

import (
	"context"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/seal"
)

// kept is a history of some seconds.
type kept struct {
	store.History

	seconds int
	fails   bool
	asked   int
}

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func (k *kept) App() *foresail.App {
	return &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front"}}, Endpoints: []foresail.Endpoint{{Name: "all", Objective: &foresail.Objective{Percentile: 99, Latency: time.Second}}}}
}

func (k *kept) Range() (time.Time, time.Time) {
	if k.seconds == 0 {
		return time.Time{}, time.Time{}
	}
	return start, start.Add(time.Duration(k.seconds) * time.Second)
}

func (k *kept) Snapshots(_ context.Context, from, to time.Time, _ time.Duration) iter.Seq2[*foresail.Snapshot, error] {
	k.asked++
	return func(yield func(*foresail.Snapshot, error) bool) {
		if k.fails {
			panic("a damaged block")
		}
		for at := from; at.Before(to); at = at.Add(time.Second) {
			e := foresail.EndpointStats{Latency: &sketch.Sketch{}}
			e.Requests, e.Arrivals = 100, 100
			s := &foresail.Snapshot{Start: at, End: at.Add(time.Second), Has: foresail.SignalEndpoints, Services: make([]foresail.ServiceStats, 1), Endpoints: []foresail.EndpointStats{e}}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// The page's question is answered in the background, once for as long as the answer is worth; what is missing, and what fails, is said.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{}
		l := NewLive(k, "", seal.Key{})
		defer l.Close()
		ask := func(since time.Duration) (state, text string) {
			a := l.Insights(since)
			for n := 0; a.State == "working" && n < 3; n++ {
				synctest.Wait()
				a = l.Insights(since)
			}
			return a.State, a.Text
		}
		if state, text := ask(0); state != "needs" || !strings.Contains(text, "empty") {
			t.Error(state, text)
		}
		time.Sleep(2 * Least) // of the test's own clock
		k.seconds = 60
		for range 3 {
			if state, text := ask(0); state != "ready" {
				t.Error(state, text)
			}
		}
		if k.asked != 1 {
			t.Errorf("it was looked up %d times", k.asked)
		}
		if state, _ := ask(30 * time.Second); state != "ready" || k.asked != 2 {
			t.Error(state, k.asked)
		}
		k.fails = true
		if l.Insights(time.Hour); true {
			synctest.Wait()
		}
		if a := l.last; a.State != "failed" || !strings.Contains(a.Text, "damaged") {
			t.Errorf("%+v", a)
		}
	})
}
