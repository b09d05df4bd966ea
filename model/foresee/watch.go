package foresee

import (
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/ml/nn"
)

// Forecast is what a model says at the end of a beat.
type Forecast struct {
	At          time.Time
	Within      time.Duration      // the horizon: how long there is to act
	Probability float64            // calibrated, that an episode is broken within it
	Service     foresail.ServiceID // that would start it
	Share       float64            // of that probability which is this service's
	Alarm       bool
}

// Say is the forecast in words, for a person.
func (f *Forecast) Say(app *foresail.App) string {
	return fmt.Sprintf("%s is about to start a violation within %s of %s: probability %.2f, %.0f %% of it this service's",
		app.Services[f.Service].Name, f.Within, f.At.Format("15:04:05.000"), f.Probability, 100*f.Share)
}

// Watcher foresees with a model as beats come, for one goroutine.
type Watcher struct {
	m     *Model
	net   nn.Sequential[float32]
	x     nn.Batch[float32]
	row   []float32
	beats int // in x, at its end
	last  time.Time
	share []float64
}

// Watcher makes one. It shares the model's weights.
func (m *Model) Watcher() *Watcher {
	return &Watcher{m: m, net: m.net(), x: nn.Batch[float32]{Rows: 1, Cols: m.shape.Inputs(), Data: make([]float32, m.shape.Inputs())},
		row: make([]float32, m.shape.Services*Numbers), share: make([]float64, m.shape.Services)}
}

// Add takes the next snapshot and says what is ahead; ok is false where nothing can be said: less than a window of beats has
// come in a row, the snapshot is no beat, it is stale, or it is of an application with other services. It allocates nothing
// once it has spoken.
func (w *Watcher) Add(s *foresail.Snapshot) (f Forecast, ok bool) {
	if s.Stale || s.Duration() != w.m.beat || len(s.Services) != w.m.shape.Services || !w.last.IsZero() && !s.Start.Equal(w.last) {
		w.beats = 0
	}
	w.last = s.End
	if s.Stale || s.Duration() != w.m.beat || len(s.Services) != w.m.shape.Services {
		return Forecast{}, false
	}
	for i := range s.Services {
		read(&s.Services[i], w.m.beat, w.row[i*Numbers:(i+1)*Numbers])
	}
	width := w.m.width()
	copy(w.x.Data, w.x.Data[width:])
	look(w.row, w.m.order, w.m.signal.columns(), w.m.scale, w.x.Data[len(w.x.Data)-width:])
	if w.beats = min(w.beats+1, w.m.shape.Beats); w.beats < w.m.shape.Beats {
		return Forecast{}, false
	}
	y := w.net.Forward(w.x, false).Data
	v := w.m.verdict(y)
	n := w.m.shape.Services
	all := logSum(y[:n])
	f = Forecast{At: s.End, Within: w.m.horizon, Probability: w.m.odds.Probability(v.Score), Service: v.Service, Alarm: v.Score >= w.m.threshold}
	for i, s := range w.m.order {
		w.share[s] = math.Exp(float64(y[i]) - all)
	}
	f.Share = w.share[f.Service]
	return f, true
}

// Shares is, after a Forecast, which share of its probability each service has, by ServiceID. It is valid until the next.
func (w *Watcher) Shares() []float64 { return w.share }
