package learner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"foresail.dev/ml"
)

// A model in bytes is what ml.Pack makes of two parts: JSON of saved, and what its learner writes.
const (
	payloadVersion = 1
	mostUnpacked   = 256 << 20
)

type saved struct {
	Candidate Candidate `json:"candidate"`
	Inputs    []scale   `json:"inputs"`
	Target    scale     `json:"target"`
	Least     float64   `json:"least"`
	Stretch   float64   `json:"stretch"`
	Rows      int       `json:"rows"`
}

// MarshalBinary writes the model in the format that UnmarshalBinary reads.
func (m *Model) MarshalBinary() ([]byte, error) {
	about, err := json.Marshal(saved{m.candidate, m.scales.in, m.scales.out, m.scales.least, m.stretch, m.rows})
	if err != nil {
		return nil, err
	}
	learned, err := m.r.encode()
	if err != nil {
		return nil, err
	}
	return ml.Pack(payloadVersion, about, learned)
}

// UnmarshalBinary reads what MarshalBinary wrote. M is unchanged if an error is returned, which says what is wrong.
func (m *Model) UnmarshalBinary(data []byte) error {
	var parts [2][]byte
	if err := ml.Unpack("model of package learner", payloadVersion, data, mostUnpacked, parts[:]); err != nil {
		return err
	}
	var s saved
	d := json.NewDecoder(bytes.NewReader(parts[0]))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return fmt.Errorf("what the model says of itself: %w", err)
	}
	if d.More() {
		return errors.New("something follows what the model says of itself")
	}
	if err := s.check(); err != nil {
		return err
	}
	r, err := decode(&s.Candidate, len(s.Inputs), parts[1])
	if err != nil {
		return fmt.Errorf("%s: %w", s.Candidate.Kind, err)
	}
	*m = Model{candidate: s.Candidate, scales: scales{s.Inputs, s.Target, s.Least}, r: r, stretch: s.Stretch, rows: s.Rows}
	return nil
}

func (s *saved) check() error {
	faults := []error{s.Candidate.check()}
	if len(s.Inputs) > MaxInputs {
		faults = append(faults, fmt.Errorf("the model has %d inputs, at most %d can be", len(s.Inputs), MaxInputs))
	}
	for _, c := range append(s.Inputs[:len(s.Inputs):len(s.Inputs)], s.Target) {
		if !(c.Dev > 0 && c.Dev <= largest && c.Floor > 0 && c.Floor <= largest && math.Abs(c.Mean) <= largest) {
			faults = append(faults, fmt.Errorf("the model has a scale with floor %v, mean %v and deviation %v", c.Floor, c.Mean, c.Dev))
			break
		}
	}
	if !(s.Least > 0 && s.Least <= largest && s.Stretch > 0 && s.Stretch <= 1e3) || s.Rows < 0 {
		faults = append(faults, fmt.Errorf("the model has a least value of %v, a stretch of %v and %d rows", s.Least, s.Stretch, s.Rows))
	}
	return errors.Join(faults...)
}
