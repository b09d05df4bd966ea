package gbt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A model in bytes, everything little-endian:
//
//	magic "fgbt", version uint16, loss uint8, 0 uint8
//	features uint32, trees uint32, nodes uint32, base float64
//	of each tree: nodes uint32
//	of each node: threshold float64, feature uint32, left child within the tree uint32, value, gain, cover float64
//
// A leaf has a threshold that is not a number, feature 0, and itself as child.
const (
	magic      = "fgbt"
	version    = 1
	headerSize = 28
	nodeSize   = 40
)

// MarshalBinary writes the model in the format that UnmarshalBinary reads. It never fails.
func (m *Model) MarshalBinary() ([]byte, error) {
	le := binary.LittleEndian
	b := make([]byte, 0, headerSize+4*len(m.roots)+nodeSize*len(m.nodes))
	b = append(b, magic...)
	b = le.AppendUint16(b, version)
	b = append(b, byte(m.loss), 0)
	b = le.AppendUint32(b, uint32(m.features))
	b = le.AppendUint32(b, uint32(len(m.roots)))
	b = le.AppendUint32(b, uint32(len(m.nodes)))
	b = appendFloat(b, m.base)
	for t := range m.roots {
		begin, end := m.span(t)
		b = le.AppendUint32(b, uint32(end-begin))
	}
	for t := range m.roots {
		begin, end := m.span(t)
		for i := begin; i < end; i++ {
			n := &m.nodes[i]
			b = appendFloat(b, n.threshold)
			b = le.AppendUint32(b, n.feature)
			b = le.AppendUint32(b, uint32(n.child)-uint32(begin))
			b = appendFloat(b, m.value[i])
			b = appendFloat(b, m.gain[i])
			b = appendFloat(b, m.cover[i])
		}
	}
	return b, nil
}

// span is where the nodes of tree t begin and end.
func (m *Model) span(t int) (begin, end int) {
	end = len(m.nodes)
	if t+1 < len(m.roots) {
		end = int(m.roots[t+1])
	}
	return int(m.roots[t]), end
}

func appendFloat(b []byte, v float64) []byte {
	if v != v {
		v = math.NaN() // one way to write it
	}
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// reader takes numbers off the front of bytes that were found to be long enough.
type reader struct{ b []byte }

func (r *reader) u32() uint32 {
	v := binary.LittleEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

func (r *reader) float() float64 {
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.b))
	r.b = r.b[8:]
	return v
}

// UnmarshalBinary reads what MarshalBinary wrote, and nothing else: every tree is checked to be one, every number to be
// such as training makes. The model is unchanged if an error is returned, which says what is wrong.
func (m *Model) UnmarshalBinary(data []byte) error {
	if len(data) < headerSize || string(data[:4]) != magic {
		return errors.New("gbt: not a model of boosted trees")
	}
	if v := binary.LittleEndian.Uint16(data[4:]); v != version {
		return fmt.Errorf("gbt: model has version %d, this program reads %d", v, version)
	}
	read := Model{loss: Loss(data[6])}
	if read.loss >= losses || data[7] != 0 {
		return fmt.Errorf("gbt: model has unknown %s", read.loss)
	}
	r := reader{data[8:]}
	features, trees, nodes := uint64(r.u32()), uint64(r.u32()), uint64(r.u32())
	read.base = r.float()
	if features == 0 || features >= missingRight {
		return fmt.Errorf("gbt: model has %d features", features)
	}
	if want := headerSize + 4*trees + nodeSize*nodes; uint64(len(data)) != want || nodes > math.MaxInt32 {
		return fmt.Errorf("gbt: model has %d bytes, %d trees with %d nodes need %d: it is cut off or damaged", len(data), trees, nodes, want)
	}
	if !finite(read.base) {
		return fmt.Errorf("gbt: model starts from %v", read.base)
	}
	read.features = int(features)
	read.roots, read.depths = make([]int32, trees), make([]int32, trees)
	left := uint32(nodes)
	for t := range read.roots {
		n := r.u32()
		if n == 0 || n > left {
			return fmt.Errorf("gbt: tree %d has %d nodes of %d left", t, n, left)
		}
		read.roots[t] = int32(uint32(nodes) - left)
		left -= n
	}
	if left != 0 {
		return fmt.Errorf("gbt: %d nodes belong to no tree", left)
	}
	read.nodes = make([]node, nodes)
	read.value, read.gain, read.cover = make([]float64, nodes), make([]float64, nodes), make([]float64, nodes)
	for t := range read.roots {
		if err := read.readTree(t, &r); err != nil {
			return fmt.Errorf("gbt: tree %d: %w", t, err)
		}
	}
	*m = read
	return nil
}

// readTree reads the nodes of tree t.
func (m *Model) readTree(t int, r *reader) error {
	begin, end := m.span(t)
	depth := make([]int32, end-begin) // of a node that a split above leads to; 0 of others
	for i := range depth {
		n, at := &m.nodes[begin+i], begin+i
		n.threshold, n.feature = r.float(), r.u32()
		child := r.u32()
		m.value[at], m.gain[at], m.cover[at] = r.float(), r.float(), r.float()
		if !finite(m.value[at]) || !finite(m.gain[at]) || !finite(m.cover[at]) || m.cover[at] < 0 {
			return fmt.Errorf("node %d has a value, gain or cover that can't be", i)
		}
		if i > 0 && depth[i] == 0 {
			return fmt.Errorf("no split leads to node %d", i)
		}
		if uint64(child) >= uint64(len(depth)) {
			return fmt.Errorf("node %d leads out of the tree", i)
		}
		n.child = int32(begin) + int32(child)
		m.depths[t] = max(m.depths[t], depth[i])
		if n.leaf() {
			if int(child) != i || n.feature != 0 || m.gain[at] != 0 {
				return fmt.Errorf("leaf %d splits", i)
			}
			continue
		}
		switch {
		case n.threshold == math.Inf(-1):
			return fmt.Errorf("node %d has a threshold of %v", i, n.threshold)
		case n.at() >= m.features:
			return fmt.Errorf("node %d splits feature %d of %d", i, n.at(), m.features)
		case int(child) <= i || int(child)+1 >= len(depth):
			return fmt.Errorf("the children of node %d are not after it", i)
		case depth[child] != 0 || depth[child+1] != 0:
			return fmt.Errorf("two splits lead to node %d or %d", child, child+1)
		case depth[i] == maxDepth:
			return fmt.Errorf("deeper than %d splits", maxDepth)
		case m.value[at] != 0:
			return fmt.Errorf("node %d has a value and is no leaf", i)
		}
		depth[child], depth[child+1] = depth[i]+1, depth[i]+1
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
