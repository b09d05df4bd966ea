package wire

import (
	"encoding/json"

	"foresail.dev/sketch"
)

// Sketch is a latency sketch that travels as JSON: its zero count, its sum and its buckets.
type Sketch struct{ sketch.Sketch }

type sketchJSON struct {
	Zero    float64   `json:"zero"`
	Sum     float64   `json:"sum"`
	Indexes []int     `json:"indexes"`
	Counts  []float64 `json:"counts"`
}

// MarshalJSON writes what UnmarshalJSON reads.
func (s *Sketch) MarshalJSON() ([]byte, error) {
	j := sketchJSON{Zero: s.Zero(), Sum: s.Sum()}
	for i, n := range s.Buckets() {
		j.Indexes = append(j.Indexes, i)
		j.Counts = append(j.Counts, n)
	}
	return json.Marshal(j)
}

// UnmarshalJSON replaces the sketch.
func (s *Sketch) UnmarshalJSON(b []byte) error {
	var j sketchJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	s.Reset()
	s.AddN(0, j.Zero)
	for k, i := range j.Indexes {
		if k < len(j.Counts) {
			sum := 0.0
			if k == 0 {
				sum = j.Sum // the buckets' sums are not kept apart
			}
			s.AddBucket(i, j.Counts[k], sum)
		}
	}
	return nil
}
