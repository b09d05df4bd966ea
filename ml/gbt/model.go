package gbt

import (
	"fmt"
	"math"
	"slices"
)

// Model is a sum of trees. It is immutable, and may be used by many goroutines.
//
// Invariants, which training keeps and UnmarshalBinary checks: the nodes of a tree lie next to each other, its root first;
// both children of a node lie next to each other after it; each node but a root is the child of one other.
type Model struct {
	loss     Loss
	features int
	base     float64
	roots    []int32 // first node of each tree
	depths   []int32 // splits from root to leaf at most, per tree
	nodes    []node
	value    []float64 // of a leaf, per node; 0 of others
	gain     []float64 // of a split, per node; 0 of leaves
	cover    []float64 // sum of h over the rows that came by in training, per node
}

// node is a split: left when the feature is below the threshold. That of a leaf leads back to itself, so that a walk may
// take more steps than the tree is deep and several walks can go in step.
type node struct {
	threshold float64 // NaN: a leaf
	feature   uint32  // the highest bit is set where what is missing goes right
	child     int32   // the left one; the right one follows
}

const missingRight = 1 << 31

func (n *node) leaf() bool { return n.threshold != n.threshold }

// at is the index of the feature.
func (n *node) at() int { return int(n.feature &^ missingRight) }

// step is where a row goes from n.
func (n *node) step(row []float64) int32 {
	x := row[n.feature&^missingRight]
	next := n.child
	if x >= n.threshold {
		next++
	}
	if x != x {
		next = n.child + int32(n.feature>>31)
	}
	return next
}

// Loss is what the model was trained to make small.
func (m *Model) Loss() Loss { return m.loss }

// Features is how many features a row has.
func (m *Model) Features() int { return m.features }

// Trees is how many trees there are.
func (m *Model) Trees() int { return len(m.roots) }

// Predict is what the model says of one row: a mean, a probability or a quantile, as the loss was. A row has Features
// numbers, NaN where missing; Predict panics if it has fewer or more. It allocates nothing.
func (m *Model) Predict(row []float64) float64 { return m.link(m.Score(row)) }

// Score is Predict before the link: the log odds where the loss is logistic, else the same.
func (m *Model) Score(row []float64) float64 {
	m.check(len(row))
	sum := m.base
	t := 0
	for ; t+4 <= len(m.roots); t += 4 { // four walks at a time hide each other's latency
		a, b, c, d := m.roots[t], m.roots[t+1], m.roots[t+2], m.roots[t+3]
		for range max(m.depths[t], m.depths[t+1], m.depths[t+2], m.depths[t+3]) {
			a, b, c, d = m.nodes[a].step(row), m.nodes[b].step(row), m.nodes[c].step(row), m.nodes[d].step(row)
		}
		sum += m.value[a]
		sum += m.value[b]
		sum += m.value[c]
		sum += m.value[d]
	}
	for ; t < len(m.roots); t++ {
		sum += m.value[m.leaf(t, row)]
	}
	return sum
}

// PredictAll writes what Predict says of each row of x, which lie one after the other, to dst. It panics unless x has
// Features numbers for each of dst. It allocates nothing.
func (m *Model) PredictAll(dst, x []float64) {
	if len(x) != len(dst)*m.features {
		panic(fmt.Sprintf("gbt: %d rows of %d features need %d numbers, got %d", len(dst), m.features, len(dst)*m.features, len(x)))
	}
	for i := range dst {
		dst[i] = m.Predict(x[i*m.features : (i+1)*m.features])
	}
}

// leaf is the node of tree t where a row ends.
func (m *Model) leaf(t int, row []float64) int32 {
	n := m.roots[t]
	for range m.depths[t] {
		n = m.nodes[n].step(row)
	}
	return n
}

func (m *Model) link(score float64) float64 {
	if m.loss == Logistic {
		return sigmoid(score)
	}
	return score
}

func (m *Model) check(n int) {
	if n != m.features {
		panic(fmt.Sprintf("gbt: a row of %d features for a model of %d", n, m.features))
	}
}

// add appends a grown tree.
func (m *Model) add(tree []branch, t *table) {
	root := int32(len(m.nodes))
	m.roots = append(m.roots, root)
	for i, b := range tree {
		n := node{threshold: math.NaN(), child: root + int32(i)}
		gain := 0.0
		if b.child != 0 {
			gain = b.gain
			n = node{threshold: math.Inf(1), feature: uint32(b.feature), child: root + b.child}
			if cuts := t.cuts[b.feature]; int(b.bin) <= len(cuts) {
				n.threshold = cuts[b.bin-1]
			}
			if !b.missingLeft {
				n.feature |= missingRight
			}
		}
		m.nodes = append(m.nodes, n)
		m.value = append(m.value, b.value)
		m.gain = append(m.gain, gain)
		m.cover = append(m.cover, b.cover)
	}
	m.depths = append(m.depths, m.depth(root, 0))
}

// depth is how many splits there are below n at most, those above it added.
func (m *Model) depth(n, above int32) int32 {
	if m.nodes[n].leaf() {
		return above
	}
	return max(m.depth(m.nodes[n].child, above+1), m.depth(m.nodes[n].child+1, above+1))
}

// clone shares nothing with m.
func (m *Model) clone() *Model {
	out := *m
	out.roots, out.depths, out.nodes = slices.Clone(m.roots), slices.Clone(m.depths), slices.Clone(m.nodes)
	out.value, out.gain, out.cover = slices.Clone(m.value), slices.Clone(m.gain), slices.Clone(m.cover)
	return &out
}

// truncate keeps the first trees.
func (m *Model) truncate(trees int) {
	if trees >= len(m.roots) {
		return
	}
	end := m.roots[trees]
	m.roots, m.depths = m.roots[:trees], m.depths[:trees]
	m.nodes, m.value, m.gain, m.cover = m.nodes[:end], m.value[:end], m.gain[:end], m.cover[:end]
}
