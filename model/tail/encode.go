package tail

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"foresail.dev/ml"
	"foresail.dev/ml/calibrate"
	"foresail.dev/ml/gbt"
	"foresail.dev/ml/nn"
	"foresail.dev/model/tail/network"
)

// Kind is that of model files of this package.
const Kind = "tail"

// payloadVersion starts a payload.
const payloadVersion = 1

// mostUnpacked bounds what a payload may unpack to.
const mostUnpacked = 64 << 20

// A payload is the version (1 byte), then, compressed by DEFLATE, five parts, each with its length (4 bytes, little-endian)
// before it:
//
//	JSON of saved
//	scaling and envelope: float32 numbers, in the order of Model.numbers
//	weights: as nn.Save writes them
//	trees: as gbt.Model.MarshalBinary writes them
//	steps of the calibration, as calibrate.Steps writes them; empty: it is the sigmoid
type saved struct {
	Schema   Schema      `json:"schema"`
	Channels []Channel   `json:"channels"`
	Label    Label       `json:"label"`
	Proposed Proposed    `json:"proposed"`
	Knee     float64     `json:"knee_ms"`
	Room     float64     `json:"room_ms"`
	Slope    float64     `json:"slope"`
	Offset   float64     `json:"offset"`
	Margin   float64     `json:"margin_ms"`
	Trained  ml.Training `json:"trained"`
}

// Header is what a model file says of the model.
func (m *Model) Header() ml.Header {
	return ml.Header{Kind: Kind, Application: m.schema.Application, Features: featuresOf(m.channels), Trained: m.trained}
}

func featuresOf(channels []Channel) (out []ml.Feature) {
	unit := map[Channel]string{Rate: "1/s", Cores: "cores", Used: "cores", Memory: "MB", Arrivals: "1/s"}
	for _, c := range channels {
		out = append(out, ml.Feature{Name: string(c), Unit: unit[c]})
	}
	return append(out, ml.Feature{Name: DriverLatency, Unit: "ms"}, ml.Feature{Name: DriverProposed, Unit: "cores"})
}

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

// numbers are the arrays of scaling and envelope.
func (m *Model) numbers() [][]float32 {
	var out [][]float32
	for _, a := range [][]affine{m.scale.History, m.scale.Latency, m.scale.Cores, m.scale.Next, m.out} {
		v := make([]float32, 0, 2*len(a))
		for _, x := range a {
			v = append(v, x.Mean, x.Per)
		}
		out = append(out, v)
	}
	for _, a := range [][]span{m.envelope.History, m.envelope.Cores} {
		v := make([]float32, 0, 2*len(a))
		for _, x := range a {
			v = append(v, x.Low, x.High)
		}
		out = append(out, v)
	}
	return append(out, m.envelope.Latent.Mean, m.envelope.Latent.Root, []float32{m.envelope.Latent.Most})
}

// MarshalBinary writes the model in the format that UnmarshalBinary reads.
func (m *Model) MarshalBinary() ([]byte, error) {
	about, err := json.Marshal(saved{*m.schema, m.channels, m.label, m.proposed, m.squash.Knee, m.squash.Room, m.odds.sigmoid.Slope, m.odds.sigmoid.Offset, m.margin, m.trained})
	if err != nil {
		return nil, err
	}
	var numbers []byte
	for _, a := range m.numbers() {
		for _, v := range a {
			numbers = binary.LittleEndian.AppendUint32(numbers, math.Float32bits(v))
		}
	}
	weights, err := nn.Save(m.weights, nil, nil)
	if err != nil {
		return nil, err
	}
	trees, err := m.trees.MarshalBinary()
	if err != nil {
		return nil, err
	}
	var steps []byte
	if m.odds.steps != nil {
		if steps, err = m.odds.steps.MarshalBinary(); err != nil {
			return nil, err
		}
	}
	return ml.Pack(payloadVersion, about, numbers, weights, trees, steps)
}

// UnmarshalBinary reads what MarshalBinary wrote. M is unchanged if an error is returned, which says what is wrong.
func (m *Model) UnmarshalBinary(data []byte) error {
	var parts [5][]byte
	if err := ml.Unpack("model of tail latency", payloadVersion, data, mostUnpacked, parts[:]); err != nil {
		return err
	}
	read, err := assemble(parts)
	if err != nil {
		return err
	}
	*m = *read
	return nil
}

func assemble(parts [5][]byte) (*Model, error) {
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
	m := &Model{layout: layout{schema: &s.Schema, channels: s.Channels, squash: Squash{s.Knee, s.Room}, label: s.Label, proposed: s.Proposed}, margin: s.Margin, trained: s.Trained}
	m.shape = m.layout.network()
	if err := m.shape.Check(); err != nil {
		return nil, err
	}
	m.odds.sigmoid = calibrate.Sigmoid{Slope: s.Slope, Offset: s.Offset}
	if err := m.take(parts[1]); err != nil {
		return nil, err
	}
	net := network.New[float32](m.shape, nn.NewRand(0, 0))
	if err := nn.Restore(parts[2], net.Params(), nil, nil); err != nil {
		return nil, err
	}
	m.weights = copied(net.Params())
	for _, p := range m.weights {
		if !finite32(p.W) {
			return nil, fmt.Errorf("weights %s are not all numbers", p.Name)
		}
	}
	m.trees = &gbt.Model{}
	if err := m.trees.UnmarshalBinary(parts[3]); err != nil {
		return nil, err
	}
	if want := m.shape.Features() + (Horizon-1)*len(s.Schema.Services); m.trees.Features() != want || m.trees.Loss() != gbt.Logistic {
		return nil, fmt.Errorf("the model's trees see %d features with the %s loss, and should see %d with the logistic one", m.trees.Features(), m.trees.Loss(), want)
	}
	if len(parts[4]) > 0 {
		m.odds.steps = &calibrate.Steps{}
		if err := m.odds.steps.UnmarshalBinary(parts[4]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// mostServices bounds a model that is read.
const mostServices = 4096

func (s *saved) check() error {
	if len(s.Schema.Services) > mostServices {
		return fmt.Errorf("the model is of %d services, at most %d can be", len(s.Schema.Services), mostServices)
	}
	if err := s.Schema.trainable(); err != nil {
		return err
	}
	c := Default()
	c.Channels, c.Label, c.Proposed, c.Knee, c.Room = s.Channels, s.Label, s.Proposed, s.Knee, s.Room
	if err := c.Check(); err != nil {
		return err
	}
	if !(s.Knee > 0 && s.Room > 0 && s.Margin >= 0) {
		return fmt.Errorf("the model's knee, room and margin are %v, %v and %v ms: that can't be", s.Knee, s.Room, s.Margin)
	}
	return nil
}

// take reads what numbers lists.
func (m *Model) take(data []byte) error {
	n, f := len(m.schema.Services), m.shape.Features()
	m.scale = scaling{make([]affine, m.width()), make([]affine, len(Percentiles)), make([]affine, n), make([]affine, n*m.proposed.inputs())}
	m.out = make([]affine, len(Percentiles))
	m.envelope = envelope{History: make([]span, m.width()), Cores: make([]span, n), Latent: cloud{Mean: make([]float32, f), Root: make([]float32, f*(f+1)/2)}}
	want := 0
	for _, a := range m.numbers() {
		want += 4 * len(a)
	}
	if len(data) != want {
		return fmt.Errorf("the model's scales have %d bytes and should have %d", len(data), want)
	}
	next := func() float32 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(data))
		data = data[4:]
		return v
	}
	for _, a := range [][]affine{m.scale.History, m.scale.Latency, m.scale.Cores, m.scale.Next, m.out} {
		for i := range a {
			if a[i] = (affine{next(), next()}); !finite32([]float32{a[i].Mean, a[i].Per}) {
				return errors.New("the model's scales are not all numbers")
			}
		}
	}
	for _, a := range [][]span{m.envelope.History, m.envelope.Cores} {
		for i := range a {
			a[i] = span{next(), next()}
		}
	}
	for _, a := range [][]float32{m.envelope.Latent.Mean, m.envelope.Latent.Root} {
		for i := range a {
			a[i] = next()
		}
		if !finite32(a) {
			return errors.New("the model's spread of features is not all numbers")
		}
	}
	m.envelope.Latent.Most = next()
	return nil
}
