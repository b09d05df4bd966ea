package gbt_test

import (
	"encoding/binary"
	"math"
	"testing"

	"foresail.dev/ml/gbt"
)

// parsed is a model read from its file by hand, as the format says.
type parsed struct {
	base  float64
	trees [][]parsedNode
}

type parsedNode struct {
	threshold, value, cover float64
	feature                 int
	missingRight            bool
	child                   int
}

func parse(t testing.TB, m *gbt.Model) parsed {
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	u32 := func(at int) int { return int(binary.LittleEndian.Uint32(b[at:])) }
	f64 := func(at int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b[at:])) }
	trees := u32(12)
	p := parsed{base: f64(20)}
	at := 28 + 4*trees
	for i := range trees {
		var nodes []parsedNode
		for range u32(28 + 4*i) {
			f := u32(at + 8)
			nodes = append(nodes, parsedNode{threshold: f64(at), feature: f &^ (1 << 31), missingRight: f>>31 != 0, child: u32(at + 12), value: f64(at + 16), cover: f64(at + 32)})
			at += 40
		}
		p.trees = append(p.trees, nodes)
	}
	return p
}

// expect is the mean score of rows of which only the features in set are known to be those of x.
func (p parsed) expect(x []float64, set int) float64 {
	sum := p.base
	for _, nodes := range p.trees {
		var walk func(i int) float64
		walk = func(i int) float64 {
			n := nodes[i]
			if math.IsNaN(n.threshold) {
				return n.value
			}
			l, r := nodes[n.child], nodes[n.child+1]
			if set>>n.feature&1 == 0 {
				return (l.cover*walk(n.child) + r.cover*walk(n.child+1)) / (l.cover + r.cover)
			}
			v := x[n.feature]
			if v >= n.threshold || math.IsNaN(v) && n.missingRight {
				return walk(n.child + 1)
			}
			return walk(n.child)
		}
		sum += walk(0)
	}
	return sum
}
