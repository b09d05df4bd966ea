// Package group gathers what belongs together, such as the spans of one trace, out of a stream in which it comes apart
// and mixed with others, within a bound on memory.
//
// No message says that a group is complete. It is taken to be when nothing came for it during a wait; or when it has
// been open for six such waits, so that who goes on sending in one name can't keep it open. Time is the caller's: any
// count that does not go back, of nanoseconds or of lines read.
package group

// Options bound a Groups. Fields that are zero mean what their comment says.
type Options struct {
	Wait     int64 // in the caller's time, after the last item of a group; 0: a group is never complete by itself
	MaxItems int   // of all open groups together; 0 means 200,000
	MaxEach  int   // items of one group; more are left out and counted; 0 means 2,000
	// Early makes the oldest group give way, complete or not, when there is no room; else a new item is refused.
	Early bool
}

// maxWaits is how many waits a group stays open at most.
const maxWaits = 6

// Stats count what did not go as it should.
type Stats struct {
	Refused uint64 `json:"refused"` // items for which there was no room
	Crowded uint64 `json:"crowded"` // items beyond what one group may have
	Early   uint64 `json:"early"`   // groups that had to go before their wait was over
}

// Group is what came under one key.
type Group[K comparable, T any] struct {
	Key   K
	Items []T
	Cut   bool // items are missing: there were more than one group may have, or it went early

	first, last int64
	prev, next  *Group[K, T] // in the order of last
}

// Groups gathers items of type T by key. It is used by one goroutine at a time.
type Groups[K comparable, T any] struct {
	o      Options
	open   map[K]*Group[K, T]
	oldest *Group[K, T] // the one longest untouched
	newest *Group[K, T]
	spare  []*Group[K, T]
	items  int
	stats  Stats
}

// maxSpare is how many groups' memory is kept to be used again, at most.
const maxSpare = 1024

// New makes an empty Groups.
func New[K comparable, T any](o Options) *Groups[K, T] {
	if o.MaxItems <= 0 {
		o.MaxItems = 200_000
	}
	if o.MaxEach <= 0 {
		o.MaxEach = 2_000
	}
	return &Groups[K, T]{o: o, open: map[K]*Group[K, T]{}}
}

// Add puts an item into its group at the given time. With Options.Early it returns the group that had to give way for
// it, if one had; the caller owns it.
func (g *Groups[K, T]) Add(at int64, key K, item T) (gone *Group[K, T]) {
	p, known := g.open[key]
	if known && len(p.Items) >= g.o.MaxEach {
		p.Cut = true
		g.stats.Crowded++
		return nil
	}
	if g.items >= g.o.MaxItems {
		if !g.o.Early {
			if known {
				p.Cut = true
			}
			g.stats.Refused++
			return nil
		}
		gone = g.take(g.oldest)
		gone.Cut = true
		g.stats.Early++
		p, known = g.open[key]
	}
	if !known {
		p = g.fresh()
		p.Key, p.first = key, at
		g.open[key] = p
	}
	p.Items = append(p.Items, item)
	g.items++
	if at-p.first < (maxWaits-1)*g.o.Wait || !known {
		p.last = at
		if known {
			g.unlink(p)
		}
		g.link(p)
	}
	return gone
}

// Due takes out the groups that are complete at the given time, the one longest untouched first.
func (g *Groups[K, T]) Due(at int64) []*Group[K, T] {
	var out []*Group[K, T]
	for g.oldest != nil && g.o.Wait > 0 && at-g.oldest.last >= g.o.Wait {
		out = append(out, g.take(g.oldest))
	}
	return out
}

// Next takes out the group longest untouched if it is complete at the given time; nil: none is.
func (g *Groups[K, T]) Next(at int64) *Group[K, T] {
	if g.oldest == nil || g.o.Wait <= 0 || at-g.oldest.last < g.o.Wait {
		return nil
	}
	return g.take(g.oldest)
}

// Rest takes out all groups.
func (g *Groups[K, T]) Rest() []*Group[K, T] {
	out := make([]*Group[K, T], 0, len(g.open))
	for g.oldest != nil {
		out = append(out, g.take(g.oldest))
	}
	return out
}

// Reuse gives the memory of a group that was taken out back, for groups to come. Neither it nor its items may be used any more.
func (g *Groups[K, T]) Reuse(p *Group[K, T]) {
	if len(g.spare) < maxSpare {
		clear(p.Items)
		*p = Group[K, T]{Items: p.Items[:0]}
		g.spare = append(g.spare, p)
	}
}

// Items is how many items wait.
func (g *Groups[K, T]) Items() int { return g.items }

// Stats are the counts so far.
func (g *Groups[K, T]) Stats() Stats { return g.stats }

func (g *Groups[K, T]) fresh() *Group[K, T] {
	n := len(g.spare)
	if n == 0 {
		return &Group[K, T]{}
	}
	p := g.spare[n-1]
	g.spare[n-1], g.spare = nil, g.spare[:n-1]
	return p
}

func (g *Groups[K, T]) take(p *Group[K, T]) *Group[K, T] {
	g.unlink(p)
	delete(g.open, p.Key)
	g.items -= len(p.Items)
	return p
}

// link puts a group behind all others.
func (g *Groups[K, T]) link(p *Group[K, T]) {
	p.prev, g.newest = g.newest, p
	if p.prev == nil {
		g.oldest = p
	} else {
		p.prev.next = p
	}
}

func (g *Groups[K, T]) unlink(p *Group[K, T]) {
	if p.prev == nil {
		g.oldest = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		g.newest = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.prev, p.next = nil, nil
}
