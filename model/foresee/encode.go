package foresee

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/ml"
	"foresail.dev/ml/calibrate"
	"foresail.dev/ml/nn"
	"foresail.dev/model/foresee/network"
)

// Kind is that of model files of this package.
const Kind = "seer"

// payloadVersion starts a payload.
const payloadVersion = 1

// mostUnpacked bounds what a payload may unpack to.
const mostUnpacked = 256 << 20

// A payload is the version (1 byte), then, compressed by DEFLATE, four parts, each with its length (4 bytes, little-endian)
// before it:
//
//	JSON of saved
//	scaling: mean and factor, float32 each, of each service in the model's order and each column
//	weights: as nn.Save writes them
//	calibration: as calibrate.Steps writes it
type saved struct {
	Schema    Schema               `json:"schema"`
	Network   network.Kind         `json:"network"`
	Signal    Signal               `json:"signal"`
	Window    int                  `json:"window_beats"`
	Beat      time.Duration        `json:"beat_ns"`
	Horizon   time.Duration        `json:"horizon_ns"`
	Order     []foresail.ServiceID `json:"order"`
	Threshold float64              `json:"threshold"`
	Trained   ml.Training          `json:"trained"`
}

// Header is what a model file says of the model.
func (m *Model) Header() ml.Header {
	h := ml.Header{Kind: Kind, Application: m.schema.Application, Trained: m.trained}
	for _, c := range m.signal.columns() {
		h.Features = append(h.Features, ml.Feature{Name: columnNames[c]})
	}
	return h
}

var columnNames = [Numbers]string{"in-flight-mean", "in-flight-last", "queue-mean", "queue-last", "utilisation"}

// Write writes a model file.
func Write(w io.Writer, m *Model) error { return ml.Write(w, m.Header(), m) }

// Read reads a model file. Whether the model fits an application, Fits tells.
func Read(r io.Reader) (*Model, error) {
	m := &Model{}
	if _, err := ml.Load(r, ml.Header{Kind: Kind}, m); err != nil {
		return nil, err
	}
	return m, nil
}

// MarshalBinary writes the model in the format that UnmarshalBinary reads.
func (m *Model) MarshalBinary() ([]byte, error) {
	about, err := json.Marshal(saved{m.schema, m.shape.Kind, m.signal, m.shape.Beats, m.beat, m.horizon, m.order, m.threshold, m.trained})
	if err != nil {
		return nil, err
	}
	var scale []byte
	for _, a := range m.scale {
		scale = binary.LittleEndian.AppendUint32(scale, math.Float32bits(a.Mean))
		scale = binary.LittleEndian.AppendUint32(scale, math.Float32bits(a.Per))
	}
	weights, err := nn.Save(m.weights, nil, nil)
	if err != nil {
		return nil, err
	}
	odds, err := m.odds.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return ml.Pack(payloadVersion, about, scale, weights, odds)
}

// UnmarshalBinary reads what MarshalBinary wrote. M is unchanged if an error is returned, which says what is wrong.
func (m *Model) UnmarshalBinary(data []byte) error {
	var parts [4][]byte
	if err := ml.Unpack("model of package foresee", payloadVersion, data, mostUnpacked, parts[:]); err != nil {
		return err
	}
	read, err := assemble(parts)
	if err != nil {
		return err
	}
	*m = *read
	return nil
}

func assemble(parts [4][]byte) (*Model, error) {
	var s saved
	d := json.NewDecoder(bytes.NewReader(parts[0]))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("what the model says of itself: %w", err)
	}
	if d.More() {
		return nil, errors.New("something follows what the model says of itself")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	m := &Model{schema: s.Schema, beat: s.Beat, horizon: s.Horizon, signal: s.Signal, order: s.Order, threshold: s.Threshold, trained: s.Trained, odds: &calibrate.Steps{}}
	m.shape = network.Config{Kind: s.Network, Services: len(s.Order), Beats: s.Window, Channels: len(s.Signal.columns())}
	if len(parts[1]) != 8*m.width() {
		return nil, fmt.Errorf("the model's scales have %d bytes and should have %d", len(parts[1]), 8*m.width())
	}
	for b := parts[1]; len(b) > 0; b = b[8:] {
		a := affine{math.Float32frombits(binary.LittleEndian.Uint32(b)), math.Float32frombits(binary.LittleEndian.Uint32(b[4:]))}
		if !finite(a.Mean) || !finite(a.Per) {
			return nil, errors.New("the model's scales are not all numbers")
		}
		m.scale = append(m.scale, a)
	}
	m.weights = network.New[float32](m.shape, nn.NewRand(0, 0)).Params()
	if err := nn.Restore(parts[2], m.weights, nil, nil); err != nil {
		return nil, err
	}
	for _, p := range m.weights {
		for _, w := range p.W {
			if !finite(w) {
				return nil, fmt.Errorf("weights %s are not all numbers", p.Name)
			}
		}
	}
	if err := m.odds.UnmarshalBinary(parts[3]); err != nil {
		return nil, err
	}
	return m, nil
}

func finite(v float32) bool { return v-v == 0 }

// mostInputs bounds the network of a model that is read, before it is made.
const mostInputs = 1 << 20

func (s *saved) check() error {
	c := Default()
	c.Network, c.Signal, c.Window, c.Horizon = s.Network, s.Signal, s.Window, s.Horizon
	if err := c.Check(); err != nil {
		return err
	}
	n := len(s.Schema.Services)
	switch {
	case s.Schema.Application == "":
		return errors.New("the model does not say which application it is of")
	case n == 0 || n > network.MaxServices || len(s.Order) != n:
		return fmt.Errorf("the model has an order of %d for %d services: at most %d can be", len(s.Order), n, network.MaxServices)
	case n*s.Window*len(s.Signal.columns()) > mostInputs:
		return fmt.Errorf("the model sees more than %d numbers", mostInputs)
	case s.Beat <= 0 || math.IsNaN(s.Threshold) || math.IsInf(s.Threshold, 0):
		return fmt.Errorf("the model has beats of %s and a threshold of %v", s.Beat, s.Threshold)
	}
	seen := make([]bool, n)
	for _, o := range s.Order {
		if o < 0 || int(o) >= n || seen[o] {
			return fmt.Errorf("the model's order of services is none: service %d", o)
		}
		seen[o] = true
	}
	return nil
}
