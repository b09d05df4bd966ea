package seer

import (
	"errors"
	"time"

	"foresail.dev"
	"foresail.dev/model/foresee"
)

// Verdict is what a Model says at the end of a beat.
type Verdict struct {
	Violation float64 // the probability of a violation within Model.Within, 0..1
	Alarm     bool    // it is worth acting on
}

// Model foresees violations from the newest beats. It is used by one manager at a time.
type Model interface {
	// Fits tells why the model is not of this application; nil: it is.
	Fits(app *foresail.App) error
	// Beats is how many beats it looks at.
	Beats() int
	// Within is how far it looks ahead.
	Within() time.Duration
	// Needs are the signals that it looks at.
	Needs() foresail.Signals
	// Foresee fills in for each service, by ServiceID, the probability that a violation starts there, given that one does. The beats
	// follow each other, oldest first. Nothing is lost where it is not asked in each beat.
	Foresee(beats []*foresail.Snapshot, culprit []float64) (Verdict, error)
}

// Trained is a trained model as a Model.
func Trained(m *foresee.Model) Model { return &trained{Model: m, w: m.Watcher()} }

type trained struct {
	*foresee.Model
	w  *foresee.Watcher
	at time.Time // the end of the newest beat that the watcher has seen
}

func (t *trained) Within() time.Duration { return t.Horizon() }

// Foresee shows the watcher what it has not seen: the newest beat, or after a gap the whole window.
func (t *trained) Foresee(beats []*foresail.Snapshot, culprit []float64) (Verdict, error) {
	from := len(beats) - 1
	if from < 0 || !beats[from].Start.Equal(t.at) {
		from = 0
	}
	var f foresee.Forecast
	ok := false
	for _, b := range beats[from:] {
		f, ok = t.w.Add(b)
		t.at = b.End
	}
	if !ok {
		return Verdict{}, errBeats
	}
	copy(culprit, t.w.Shares())
	return Verdict{Violation: f.Probability, Alarm: f.Alarm}, nil
}

var errBeats = errors.New("beats are not of the length that the model was trained on: train one on this source's")
