package gbt

// Contributions says how each feature moved the score of a row: the Shapley values of the path-dependent expectation,
// found by TreeSHAP (Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
// Nature Machine Intelligence 2, 2020, algorithm 2). The last of the Features+1 numbers is the mean score, by cover, over
// training; all of them sum to Score(row). Panics unless row has Features numbers.
func (m *Model) Contributions(row []float64) []float64 {
	m.check(len(row))
	phi := make([]float64, m.features+1)
	phi[m.features] = m.base
	deepest := int32(0)
	for _, d := range m.depths {
		deepest = max(deepest, d)
	}
	s := shap{m: m, row: row, phi: phi, room: make([]step, (deepest+2)*(deepest+3)/2)}
	for _, root := range m.roots {
		phi[m.features] += m.mean(root)
		s.walk(root, s.room[:0], 1, 1, -1)
	}
	return phi
}

// mean is what the leaves below n weigh on average, by cover.
func (m *Model) mean(n int32) float64 {
	if m.nodes[n].leaf() {
		return m.value[n]
	}
	l := m.nodes[n].child
	share := m.share(n)
	return share*m.mean(l) + (1-share)*m.mean(l+1)
}

// share is the part of the cover of n that went left.
func (m *Model) share(n int32) float64 {
	l := m.cover[m.nodes[n].child]
	r := m.cover[m.nodes[n].child+1]
	if l+r == 0 {
		return 0.5
	}
	return l / (l + r)
}

// step is an element of the path of unique features from the root.
type step struct {
	feature   int     // -1: the root
	zero, one float64 // share of the ways that go on when the feature is unknown, and when it is known
	weight    float64 // of the subsets of this size
}

// shap holds what the walk through one tree shares.
type shap struct {
	m    *Model
	row  []float64
	phi  []float64
	room []step
}

// walk goes down both sides of each split with the path to it. Path lies in s.room; what follows it there is free.
func (s *shap) walk(n int32, path []step, zero, one float64, feature int) {
	// A copy, since the sibling needs the path as it is: it lies after its parent's.
	own := path[len(path):len(path):cap(path)]
	own = append(own, path...)
	own = extend(own, zero, one, feature)
	node := &s.m.nodes[n]
	if node.leaf() {
		for i := 1; i < len(own); i++ {
			s.phi[own[i].feature] += unwoundSum(own, i) * (own[i].one - own[i].zero) * s.m.value[n]
		}
		return
	}
	hot, cold := node.step(s.row), node.child
	hotShare := s.m.share(n)
	if hot == cold {
		cold++
	} else {
		hotShare = 1 - hotShare
	}
	inZero, inOne := 1.0, 1.0
	for i := 1; i < len(own); i++ {
		if own[i].feature == node.at() {
			inZero, inOne = own[i].zero, own[i].one
			own = unwind(own, i)
			break
		}
	}
	s.walk(hot, own, inZero*hotShare, inOne, node.at())
	s.walk(cold, own, inZero*(1-hotShare), 0, node.at())
}

// extend adds a feature to a path: every subset grows with it or without.
func extend(p []step, zero, one float64, feature int) []step {
	w := 0.0
	if len(p) == 0 {
		w = 1
	}
	p = append(p, step{feature: feature, zero: zero, one: one, weight: w})
	l := len(p) - 1
	for i := l - 1; i >= 0; i-- {
		p[i+1].weight += one * p[i].weight * float64(i+1) / float64(l+1)
		p[i].weight *= zero * float64(l-i) / float64(l+1)
	}
	return p
}

// unwind undoes extend for element i.
func unwind(p []step, i int) []step {
	l := len(p) - 1
	zero, one := p[i].zero, p[i].one
	next := p[l].weight
	for j := l - 1; j >= 0; j-- {
		if one != 0 {
			was := p[j].weight
			p[j].weight = next * float64(l+1) / (float64(j+1) * one)
			next = was - p[j].weight*zero*float64(l-j)/float64(l+1)
		} else {
			p[j].weight = p[j].weight * float64(l+1) / (zero * float64(l-j))
		}
	}
	for j := i; j < l; j++ {
		p[j].feature, p[j].zero, p[j].one = p[j+1].feature, p[j+1].zero, p[j+1].one
	}
	return p[:l]
}

// unwoundSum is the sum of the weights that unwind would leave.
func unwoundSum(p []step, i int) float64 {
	l := len(p) - 1
	zero, one := p[i].zero, p[i].one
	sum := 0.0
	next := p[l].weight
	for j := l - 1; j >= 0; j-- {
		switch {
		case one != 0:
			w := next * float64(l+1) / (float64(j+1) * one)
			sum += w
			next = p[j].weight - w*zero*float64(l-j)/float64(l+1)
		case zero != 0:
			sum += p[j].weight * float64(l+1) / (zero * float64(l-j))
		}
	}
	return sum
}
