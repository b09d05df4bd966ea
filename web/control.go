package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
)

// Controls shift the load of a simulated application. Both methods are called from any goroutine and return soon.
type Controls interface {
	// Load is the load as it is now.
	Load() LoadState

	// Change asks for another load. The change has been checked against Load; an error is shown to the person who asked.
	Change(LoadChange) error
}

// LoadState is a load as the page shows it.
type LoadState struct {
	Level    float64   `json:"level"`               // how often the chosen shape's load: 1 is the load as it is written
	MaxLevel float64   `json:"max_level"`           // levels are 0..MaxLevel
	Rate     float64   `json:"requests_s"`          // requests per second that are sent now, spike included
	Shape    string    `json:"shape,omitempty"`     // the one in effect, of Shapes
	Shapes   []string  `json:"shapes,omitempty"`    // what can be chosen; empty: nothing
	Mix      []float64 `json:"mix,omitempty"`       // share of each endpoint, by EndpointID, adding up to 1; empty: fixed
	Spike    float64   `json:"spike,omitempty"`     // how often the load a spike is; 0: there are no spikes
	SpikeS   float64   `json:"spike_s,omitempty"`   // how long a spike lasts
	SpikeNow float64   `json:"spike_now,omitempty"` // seconds that the present spike still lasts; 0: none
}

// LoadChange names what should change; what is nil or false stays.
type LoadChange struct {
	Level *float64  `json:"level,omitempty"`
	Shape *string   `json:"shape,omitempty"`
	Mix   []float64 `json:"mix,omitempty"` // need not add up to 1
	Spike bool      `json:"spike,omitempty"`
}

// maxLoadBody is more than any change needs.
const maxLoadBody = 16 << 10

// check lists everything that is wrong with a change, in words for the person who asked.
func (c *LoadChange) check(now LoadState) error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Level == nil && c.Shape == nil && c.Mix == nil && !c.Spike {
		fault("nothing to change: give level, shape, mix or spike")
	}
	if l := c.Level; l != nil && !(*l >= 0 && *l <= now.MaxLevel) {
		fault("level %g: give 0 to %g", *l, now.MaxLevel)
	}
	if c.Shape != nil && !slices.Contains(now.Shapes, *c.Shape) {
		fault("shape %q: give one of %q", *c.Shape, now.Shapes)
	}
	if c.Mix != nil {
		sum := 0.0
		for i, v := range c.Mix {
			if !(v >= 0) || math.IsInf(v, 0) {
				fault("mix[%d] is %g: a share is 0 or more", i, v)
			}
			sum += v
		}
		if len(c.Mix) != len(now.Mix) {
			fault("mix has %d shares: give one for each of the %d endpoints", len(c.Mix), len(now.Mix))
		}
		if !(sum > 0) || math.IsInf(sum, 0) {
			fault("mix adds up to %g: at least one share must be above 0", sum)
		}
	}
	if c.Spike && now.Spike <= 0 {
		fault("spike: this load has none")
	}
	return errors.Join(errs...)
}

// postLoad changes the load. Only JSON is taken, which no foreign page can send without asking first, and the
// cross-origin check has refused those that ask.
func (s *Server) postLoad(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Controls == nil {
		fail(w, http.StatusNotFound, "the load is real here: only the demo can shift it")
		return
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "send the change as Content-Type: application/json")
		return
	}
	var c LoadChange
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLoadBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(&c)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something after the object")
		}
	}
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the change is over %d bytes", maxLoadBody))
		return
	case err != nil:
		fail(w, http.StatusBadRequest, `not a change: `+err.Error()+`: send for example {"level": 1.5}`)
		return
	}
	if err := c.check(s.cfg.Controls.Load()); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := s.cfg.Controls.Change(c); err != nil {
		fail(w, http.StatusConflict, err.Error())
		return
	}
	reply(w, http.StatusOK, s.cfg.Controls.Load())
}
