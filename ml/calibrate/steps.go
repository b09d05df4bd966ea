package calibrate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Steps is isotonic regression: probabilities that never fall as the score grows, straight between the scores it was
// fitted to, and constant beyond. It is immutable.
type Steps struct {
	at, p []float64 // both ascending, at strictly
}

// FitSteps fits the non-falling steps nearest to the classes, 0 or 1, of rows with these scores, by squared error; weight
// may be nil. Neighbours in the wrong order are pooled until none are (Ayer et al., 1955).
func FitSteps(score, y, weight []float64) (*Steps, error) {
	if err := check(score, y, weight); err != nil {
		return nil, err
	}
	type pool struct{ low, high, sum, weight float64 }
	var pools []pool
	for _, r := range order(score) {
		w := weightOf(weight, r)
		next := pool{score[r], score[r], w * y[r], w}
		for n := len(pools); n > 0; n = len(pools) {
			last := pools[n-1]
			if last.high < next.low && last.sum*next.weight < next.sum*last.weight {
				break
			}
			next = pool{last.low, next.high, last.sum + next.sum, last.weight + next.weight}
			pools = pools[:n-1]
		}
		pools = append(pools, next)
	}
	s := &Steps{}
	for _, pool := range pools {
		p := min(pool.sum/pool.weight, 1)
		s.at, s.p = append(s.at, pool.low), append(s.p, p)
		if pool.high > pool.low {
			s.at, s.p = append(s.at, pool.high), append(s.p, p)
		}
	}
	return s, nil
}

// Probability is that of class 1 at a score. It allocates nothing.
func (s *Steps) Probability(score float64) float64 {
	i, found := slices.BinarySearch(s.at, score)
	switch {
	case found:
		return s.p[i]
	case i == 0:
		return s.p[0]
	case i == len(s.at):
		return s.p[i-1]
	}
	share := (score - s.at[i-1]) / (s.at[i] - s.at[i-1])
	return min(s.p[i-1]+share*(s.p[i]-s.p[i-1]), s.p[i])
}

// Steps in bytes, little-endian: magic "fgst", version uint16, 0 uint16, then a score and its probability, float64 each.
const (
	magic      = "fgst"
	version    = 1
	headerSize = 8
)

// MarshalBinary writes s in the format that UnmarshalBinary reads. It never fails.
func (s *Steps) MarshalBinary() ([]byte, error) {
	b := append(make([]byte, 0, headerSize+16*len(s.at)), magic...)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = append(b, 0, 0)
	for i := range s.at {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.at[i]))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.p[i]))
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote. S is unchanged if an error is returned, which says what is wrong.
func (s *Steps) UnmarshalBinary(data []byte) error {
	if len(data) < headerSize || string(data[:4]) != magic {
		return errors.New("calibrate: not the steps of a calibration")
	}
	if v := binary.LittleEndian.Uint16(data[4:]); v != version || data[6] != 0 || data[7] != 0 {
		return fmt.Errorf("calibrate: steps have version %d, this program reads %d", v, version)
	}
	data = data[headerSize:]
	if len(data) == 0 || len(data)%16 != 0 {
		return fmt.Errorf("calibrate: steps of %d bytes: they are cut off or damaged", len(data))
	}
	var read Steps
	lastAt, lastP := math.Inf(-1), 0.0
	for ; len(data) > 0; data = data[16:] {
		at, p := math.Float64frombits(binary.LittleEndian.Uint64(data)), math.Float64frombits(binary.LittleEndian.Uint64(data[8:]))
		if !(at > lastAt && math.Abs(at) <= 1e100 && p >= lastP && p <= 1) {
			return fmt.Errorf("calibrate: step %d, %v at %v, does not rise", len(read.at), p, at)
		}
		read.at, read.p = append(read.at, at), append(read.p, p)
		lastAt, lastP = at, p
	}
	*s = read
	return nil
}
