package store_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/series/seriestest"
	"foresail.dev/telemetry/store"
)

// shelf is a history in memory, which refuses what it is told to.
type shelf struct {
	all  []*foresail.Snapshot
	gate chan error // says what each Append returns; nil: all are taken
}

func (h *shelf) Append(_ *foresail.App, s *foresail.Snapshot) error {
	if h.gate != nil {
		if err := <-h.gate; err != nil {
			return err
		}
	}
	h.all = append(h.all, s)
	return nil
}

func (h *shelf) Snapshots(context.Context, time.Time, time.Time, time.Duration) iter.Seq2[*foresail.Snapshot, error] {
	return nil
}
func (h *shelf) Range() (from, to time.Time) { return }
func (h *shelf) Close() error                { return nil }

// beats is n beats from start on, some of whose arrivals come late, and what each second has in the end.
func beats(app *foresail.App, n int) (all []*foresail.Snapshot, arrivals map[time.Time]float64) {
	rng := rand.New(rand.NewPCG(4, 5))
	arrivals = map[time.Time]float64{}
	at := func(i int, count float64) *foresail.Snapshot {
		b := start.Add(time.Duration(i) * foresail.Beat)
		return &foresail.Snapshot{Start: b, End: b.Add(foresail.Beat), Services: []foresail.ServiceStats{{Usage: foresail.Usage{Has: foresail.SignalArrivals, Arrivals: count}}}}
	}
	for i := range n {
		s := at(i, 1)
		arrivals[s.Start.Truncate(time.Second)]++
		for range 3 {
			if back := i - 1 - rng.IntN(47); back >= 0 {
				late := at(back, 2)
				s.Late = append(s.Late, late)
				arrivals[late.Start.Truncate(time.Second)] += 2
			}
		}
		all = append(all, s)
	}
	return all, arrivals
}

// What comes late is in the snapshot that it belongs to, and nothing is kept before it is final.
func TestRecorderWaitsForWhatIsLate(t *testing.T) {
	app, h := shop(1), &shelf{}
	all, arrivals := beats(app, 305)
	r := store.NewRecorder(h, store.RecorderOptions{Every: time.Second, Hold: foresail.RevisionLimit, Wait: true})
	for _, s := range all {
		r.Observe(app, s)
	}
	r.Close()
	r.Close()
	if len(h.all) != 31 { // the last one is of half a second
		t.Fatalf("%d seconds are kept", len(h.all))
	}
	for i, s := range h.all {
		if len(s.Late) > 0 || !s.Start.Equal(start.Add(time.Duration(i)*time.Second)) {
			t.Fatalf("second %d: %+v", i, s)
		}
		if got := s.Services[0].Arrivals; got != arrivals[s.Start] {
			t.Errorf("second %d has %v arrivals, want %v", i, got, arrivals[s.Start])
		}
	}
	plain := &shelf{}
	r = store.NewRecorder(plain, store.RecorderOptions{Wait: true})
	for k := range 5 {
		r.Observe(app, second(app, k, 1))
	}
	r.Close()
	for k, s := range plain.all {
		if err := seriestest.Same(s, second(app, k, 1)); err != nil {
			t.Error(err)
		}
	}
	if len(plain.all) != 5 {
		t.Errorf("%d snapshots as they come", len(plain.all))
	}
}

func TestRecorderTellsWhatIsLost(t *testing.T) {
	app, h := shop(1), &shelf{gate: make(chan error)}
	var told []int
	var why []error
	r := store.NewRecorder(h, store.RecorderOptions{Trouble: func(err error, n int) { told, why = append(told, n), append(why, err) }})
	full := errors.New("full")
	for k := range 9 {
		r.Observe(app, second(app, k, 1))
	}
	for k := range 9 {
		if k >= 3 && k < 7 {
			h.gate <- full
		} else {
			h.gate <- nil
		}
	}
	r.Close()
	if refused, dropped := r.Lost(); refused != 4 || dropped != 0 || len(told) != 2 || told[1] != 4 || !errors.Is(why[0], full) || why[1] != nil {
		t.Errorf("%d refused, %d dropped; told %v %v", refused, dropped, told, why)
	}
	r = store.NewRecorder(h, store.RecorderOptions{})
	for k := range 1000 { // the history takes none
		r.Observe(app, second(app, 100+k, 1))
	}
	_, dropped := r.Lost()
	if dropped < 398 || dropped > 400 {
		t.Errorf("%d dropped", dropped)
	}
	close(h.gate)
	r.Close()
	if got := len(h.all); got != 5+1000-dropped {
		t.Errorf("%d kept, %d dropped", got, dropped)
	}
}
