package node

// Link is one direction of a node's link: it carries messages in the order in which they come.
type Link struct{ free int64 }

// Send is when a message that comes at the instant at has left a link of a rate in bytes/s; 0: not limited. Instants are
// nanoseconds.
func (l *Link) Send(at, bytes int64, rate float64) int64 {
	if rate <= 0 {
		return at
	}
	l.free = max(l.free, at) + int64(float64(bytes)*1e9/rate+0.5)
	return l.free
}

// Wait is how long a message that comes at the instant at waits before it is its turn.
func (l *Link) Wait(at int64) int64 { return max(l.free-at, 0) }

// Disks serve one request each at a time; requests go in their order to the one that is free first.
type Disks []int64

// Serve is when a request that comes at the instant at and takes so long is done.
func (d Disks) Serve(at, takes int64) int64 {
	first := 0
	for i := range d {
		if d[i] < d[first] {
			first = i
		}
	}
	d[first] = max(d[first], at) + takes
	return d[first]
}
