package drift

import (
	"fmt"
	"math"
	"time"

	"foresail.dev"
)

// Of the test of inputs: the mean over the newest minutes of each channel, against the range of minutes that the model was
// trained on. How far it lies outside is told in standard deviations of those minutes, at least five in a hundred of their
// mean. A load that stays at one level for hours is inside, where a test of distributions would call it another one.
const (
	recent = 5    // minutes
	least  = 0.05 // of the mean, that a standard deviation counts as
)

// inputs tests whether the model is asked outside of what it was trained on.
type inputs struct {
	app *foresail.App
	of  []input
	at  map[place]int
}

type input struct {
	Channel
	ring  [recent]float64
	n     int
	since time.Time
}

func newInputs(app *foresail.App, channels []Channel) inputs {
	in := inputs{app: app, at: map[place]int{}}
	for _, c := range channels {
		if int(c.Service) >= len(app.Services) || c.Service < Application || c.Service >= 0 && app.Services[c.Service].Gone {
			continue
		}
		in.at[c.place()] = len(in.of)
		in.of = append(in.of, input{Channel: c})
	}
	return in
}

// add takes in the values of a minute that began at cell.
func (in *inputs) add(cell time.Time, values []value) {
	for _, v := range values {
		i, ok := in.at[v.place]
		if !ok {
			continue
		}
		x := &in.of[i]
		x.ring[x.n%recent] = v.value
		x.n++
		switch {
		case x.score() < 1:
			x.since = time.Time{}
		case x.since.IsZero():
			x.since = cell.Add(-(recent - 1) * time.Minute)
		}
	}
}

// now is the mean over the newest minutes, NaN before there are enough; edge is the nearest value that was trained on.
func (x *input) now() (v, edge float64) {
	if x.n < recent {
		return math.NaN(), math.NaN()
	}
	for _, y := range x.ring {
		v += y / recent
	}
	return v, min(max(v, x.Low), x.High)
}

// score is how far outside it lies; 0 inside.
func (x *input) score() float64 {
	v, edge := x.now()
	if !(v != edge) || math.IsNaN(v) {
		return 0
	}
	return math.Abs(v-edge) / max(x.Deviation, least*math.Abs(x.Mean), 1e-9)
}

func (in *inputs) findings() (out []Finding) {
	for i := range in.of {
		x := &in.of[i]
		if x.since.IsZero() {
			continue
		}
		v, edge := x.now()
		name := x.place().name(in.app)
		out = append(out, Finding{Kind: Input, What: name, Quantity: x.Quantity, Value: v, Expected: edge, Score: x.score(), Since: x.since,
			Text: fmt.Sprintf("%s: %.3g%s, trained on %.3g to %.3g", name, v, x.Quantity.unit(), x.Low, x.High)})
	}
	return out
}

// outside tests whether the model itself says that it is asked outside of what it was trained on: in all but one of the newest
// seconds that it was asked about, a minute apart.
type outside struct {
	ring  [recent]int // how many ways
	n     int
	how   []string // of the newest second that was outside
	since time.Time
}

func (o *outside) add(at time.Time, how []string) {
	o.ring[o.n%recent] = len(how)
	o.n++
	if len(how) > 0 {
		o.how = how
	}
	switch {
	case o.out() < recent-1:
		o.since = time.Time{}
	case o.since.IsZero():
		o.since = at.Add(-(recent - 1) * time.Minute)
	}
}

// out is how many of the newest were outside.
func (o *outside) out() (n int) {
	for _, k := range o.ring {
		if k > 0 {
			n++
		}
	}
	return n
}

func (o *outside) finding(app *foresail.App) *Finding {
	if o.since.IsZero() {
		return nil
	}
	text := o.how[0]
	if n := len(o.how) - 1; n > 0 {
		text += fmt.Sprintf(" (and in %d more ways)", n)
	}
	return &Finding{Kind: Input, What: app.Name, Value: float64(len(o.how)), Score: float64(o.out()) / (recent - 1), Since: o.since,
		Text: "it lies outside of what the model was trained on: " + text}
}
