package nn

import (
	"math"
	"math/rand/v2"
)

// Rand is the source of all that a network and its training draw. It can be kept and restored.
type Rand struct {
	*rand.Rand
	pcg *rand.PCG
}

// NewRand makes a source from a seed; different streams of one seed are independent.
func NewRand(seed, stream uint64) *Rand {
	pcg := rand.NewPCG(seed, stream)
	return &Rand{rand.New(pcg), pcg}
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (r *Rand) MarshalBinary() ([]byte, error) { return r.pcg.MarshalBinary() }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (r *Rand) UnmarshalBinary(data []byte) error {
	pcg := new(rand.PCG)
	if err := pcg.UnmarshalBinary(data); err != nil {
		return err
	}
	r.pcg, r.Rand = pcg, rand.New(pcg)
	return nil
}

// uniform fills w from [-limit, limit).
func uniform[T Float](w []T, limit float64, r *Rand) {
	for i := range w {
		w[i] = T((2*r.Float64() - 1) * limit)
	}
}

// glorot fills w as Glorot and Bengio (AISTATS 2010, eq. 16) do, so that signals keep their size both ways.
func glorot[T Float](w []T, in, out int, r *Rand) {
	uniform(w, math.Sqrt(6/float64(in+out)), r)
}
