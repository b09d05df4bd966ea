package exemplar

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Choice says how many traces of a minute are kept. Fields that are zero mean what their comment says.
type Choice struct {
	Slowest int // 0 means 5; negative: none
	Random  int // 0 means 5; negative: none
	Seed    uint64
	// Minutes is how many minutes are open at once; when there are more the earliest is closed. 0 means 4.
	Minutes int
}

// Most traces of one kind that a minute may keep.
const maxPerMinute = 1000

func (c Choice) withDefaults() Choice {
	five := func(v int) int {
		if v == 0 {
			return 5
		}
		return min(max(v, 0), maxPerMinute)
	}
	c.Slowest, c.Random = five(c.Slowest), five(c.Random)
	if c.Minutes <= 0 {
		c.Minutes = 4
	}
	return c
}

// Chooser picks, of the traces offered, the slowest of each minute and a uniform random sample. Which it picks hangs on
// the seed and on the order in which a minute's traces come, and on nothing else.
type Chooser struct {
	o    Choice
	open map[int64]*minute
	done int64 // the latest minute that was closed, in minutes since 1970
	late uint64
}

// minute is one that is open.
type minute struct {
	rng     *rand.Rand
	offered int
	slowest []Trace // the slowest first
	random  []Trace // a reservoir
}

// NewChooser makes one that has seen nothing.
func NewChooser(o Choice) *Chooser {
	return &Chooser{o: o.withDefaults(), open: map[int64]*minute{}, done: -1 << 62}
}

// Late counts traces that came for a minute that was closed. They are not kept.
func (c *Chooser) Late() uint64 { return c.late }

// Offer takes a whole trace into account, and returns what it closes: more than the minutes that may be open at once.
func (c *Chooser) Offer(t Trace) []Trace {
	at := t.Minute().Unix() / 60
	if at <= c.done {
		c.late++
		return nil
	}
	m := c.open[at]
	var closed []Trace
	if m == nil {
		if len(c.open) >= c.o.Minutes {
			first := slices.Min(c.minutes())
			if at < first {
				c.late++
				return nil
			}
			closed = c.close(first)
		}
		m = &minute{rng: rand.New(rand.NewPCG(c.o.Seed, uint64(at)))}
		c.open[at] = m
	}
	m.offer(t, &c.o)
	return closed
}

// Close closes the minutes that end at or before the given time and returns what was chosen of them, in order of time.
func (c *Chooser) Close(before time.Time) []Trace {
	limit := before.Unix() / 60
	var out []Trace
	minutes := c.minutes()
	slices.Sort(minutes)
	for _, at := range minutes {
		if at < limit {
			out = append(out, c.close(at)...)
		}
	}
	return out
}

// Rest closes all minutes.
func (c *Chooser) Rest() []Trace { return c.Close(time.Unix(1<<40, 0)) }

func (c *Chooser) minutes() []int64 {
	out := make([]int64, 0, len(c.open))
	for at := range c.open {
		out = append(out, at)
	}
	return out
}

func (c *Chooser) close(at int64) []Trace {
	m := c.open[at]
	delete(c.open, at)
	c.done = max(c.done, at)
	return m.chosen()
}

// slower orders traces: the slower first, and among equals by id, so that the choice does not hang on their order.
func slower(a, b *Trace) int {
	x, y := a.ID(), b.ID()
	return cmp.Or(cmp.Compare(b.Duration(), a.Duration()), slices.Compare(x[:], y[:]))
}

func (m *minute) offer(t Trace, o *Choice) {
	m.offered++
	if at, _ := slices.BinarySearchFunc(m.slowest, t, func(a, b Trace) int { return slower(&a, &b) }); at < o.Slowest {
		if len(m.slowest) == o.Slowest {
			m.slowest = m.slowest[:o.Slowest-1]
		}
		m.slowest = slices.Insert(m.slowest, at, t)
	}
	switch { // Vitter's algorithm R
	case len(m.random) < o.Random:
		m.random = append(m.random, t)
	case o.Random > 0:
		if k := m.rng.IntN(m.offered); k < o.Random {
			m.random[k] = t
		}
	}
}

// chosen are the traces kept, each once, by the end of their root.
func (m *minute) chosen() []Trace {
	out := make([]Trace, 0, len(m.slowest)+len(m.random))
	for _, t := range m.slowest {
		t.Kept = Slowest
		out = append(out, t)
	}
	for _, t := range m.random {
		if at := slices.IndexFunc(out, func(o Trace) bool { return &o.Spans[0] == &t.Spans[0] }); at >= 0 {
			out[at].Kept |= Random
			continue
		}
		t.Kept = Random
		out = append(out, t)
	}
	slices.SortStableFunc(out, func(a, b Trace) int {
		x, y := a.ID(), b.ID()
		return cmp.Or(a.Root().End.Compare(b.Root().End), slices.Compare(x[:], y[:]))
	})
	return out
}
