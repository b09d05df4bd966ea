package gbt

// leaf is a part of the rows that may be split further.
type leaf struct {
	node       int32
	begin, end int // its rows in grower.rows
	depth      int
	total      sums
	in         bounds
	hist       []sums // nil: it will not be split
	split      split
}

// branch is a node of the tree that grows: a leaf as long as child is 0.
type branch struct {
	split
	child      int32 // the left one; the right one follows
	begin, end int
	in         bounds
	cover      float64
	value      float64
}

// grower grows one tree after another from the same table.
type grower struct {
	cfg     *Config
	table   *table
	scaled  scaled
	hist    histogrammer
	splits  splitter
	rows    []int32 // of the sample, those of a node next to each other in ascending order
	spare   []int32
	tree    []branch
	open    []leaf
	columns []int
}

func newGrower(cfg *Config, t *table) *grower {
	g := &grower{cfg: cfg, table: t, rows: make([]int32, t.rows), spare: make([]int32, t.rows)}
	g.scaled = scaled{g: make([]int64, t.rows), h: make([]int64, t.rows), packed: make([]int64, t.rows)}
	g.hist = histogrammer{table: t, scaled: &g.scaled, used: make([]bool, len(t.words)), ordered: make([]int64, t.rows)}
	g.splits = splitter{cfg: cfg, table: t}
	return g
}

// grow makes g.tree from the derivatives of g.rows, splitting g.columns; its leaves have no values yet.
func (g *grower) grow(grad, hess []float64) {
	g.scaled.scale(grad, hess, g.rows)
	g.splits.begin(g.columns, g.scaled.gUnit, g.scaled.hUnit)
	clear(g.hist.used)
	for _, f := range g.columns {
		g.hist.used[f/perWord] = true
	}
	g.tree, g.open = g.tree[:0], g.open[:0]
	root := leaf{end: len(g.rows), total: g.scaled.of(g.rows), in: unbounded}
	g.plant(root)
	if g.splittable(&root) {
		root.hist = g.hist.build(g.rows)
	}
	g.consider(root)
	for leaves := 1; len(g.open) > 0; leaves++ {
		if g.cfg.Leaves > 0 && leaves == g.cfg.Leaves {
			break
		}
		l := g.next()
		if !g.part(l) {
			leaves--
		}
	}
	for _, l := range g.open {
		g.hist.give(l.hist)
	}
}

// plant adds l to the tree, as a leaf.
func (g *grower) plant(l leaf) {
	g.tree = append(g.tree, branch{split: split{feature: -1}, begin: l.begin, end: l.end, in: l.in, cover: float64(l.total.h) * g.splits.hUnit})
}

// splittable is whether l may have children at all.
func (g *grower) splittable(l *leaf) bool {
	depth := g.cfg.Depth
	if depth == 0 {
		depth = maxDepth
	}
	return l.depth < depth && l.end-l.begin >= 2 && l.total.h >= g.splits.minChild && l.total.h-g.splits.minChild >= g.splits.minChild
}

// consider finds how l is best split, and keeps it open if that gains.
func (g *grower) consider(l leaf) {
	if l.hist == nil {
		return
	}
	l.split = g.splits.best(l.hist, l.total, l.in)
	if l.split.feature < 0 {
		g.hist.give(l.hist)
		return
	}
	g.open = append(g.open, l)
}

// next takes the leaf to be split next: with a limit on leaves the one that gains most, or else the last, so that few
// histograms are needed at a time. The order makes no other difference then.
func (g *grower) next() leaf {
	at := len(g.open) - 1
	if g.cfg.Leaves > 0 {
		at = 0
		for i := range g.open {
			if a, b := &g.open[i], &g.open[at]; a.split.gain > b.split.gain || a.split.gain == b.split.gain && a.node < b.node {
				at = i
			}
		}
	}
	l := g.open[at]
	g.open[at] = g.open[len(g.open)-1]
	g.open = g.open[:len(g.open)-1]
	return l
}

// part splits l, and is false if one side would have no rows.
func (g *grower) part(l leaf) bool {
	s := l.split
	mid := l.begin + g.partition(l.begin, l.end, s)
	if mid == l.begin || mid == l.end {
		g.hist.give(l.hist)
		return false
	}
	child := int32(len(g.tree))
	g.tree[l.node].split, g.tree[l.node].child = s, child
	left := leaf{node: child, begin: l.begin, end: mid, depth: l.depth + 1, total: s.left}
	right := leaf{node: child + 1, begin: mid, end: l.end, depth: l.depth + 1, total: l.total.minus(s.left)}
	wl, wr := l.in.clamp(g.splits.weigh(left.total)), l.in.clamp(g.splits.weigh(right.total))
	left.in, right.in = g.splits.children(s.feature, wl, wr, l.in)
	g.plant(left)
	g.plant(right)
	small, large := &left, &right
	if right.end-right.begin < left.end-left.begin {
		small, large = large, small
	}
	switch {
	case g.splittable(large):
		h := g.hist.build(g.rows[small.begin:small.end])
		g.hist.subtract(l.hist, h)
		large.hist = l.hist
		if g.splittable(small) {
			small.hist = h
		} else {
			g.hist.give(h)
		}
	case g.splittable(small):
		small.hist = g.hist.build(g.rows[small.begin:small.end])
		g.hist.give(l.hist)
	default:
		g.hist.give(l.hist)
	}
	g.consider(right)
	g.consider(left)
	return true
}

// partition moves the rows that go left before the others, keeps the order among both, and returns how many go left.
func (g *grower) partition(begin, end int, s split) int {
	var goes [256]int
	for b := range goes {
		if b <= int(s.bin) {
			goes[b] = 1
		}
	}
	goes[missingBin] = 0
	if s.missingLeft {
		goes[missingBin] = 1
	}
	words, shift := g.table.words[s.feature/perWord], 8*(s.feature%perWord)
	rows, spare := g.rows[begin:end], g.spare[:end-begin]
	left := 0
	for i, r := range rows { // both are written, one counts: no branch to guess
		rows[left], spare[i-left] = r, r
		left += goes[uint8(words[r]>>(shift&63))]
	}
	copy(rows[left:], spare[:len(rows)-left])
	return left
}

// find is the leaf of the tree that a row of the table falls into.
func (g *grower) find(row int32) int32 {
	n := int32(0)
	for g.tree[n].child != 0 {
		b := &g.tree[n]
		bin := g.table.bin(b.feature, row)
		left := bin <= b.bin
		if bin == missingBin {
			left = b.missingLeft
		}
		n = b.child
		if !left {
			n++
		}
	}
	return n
}
