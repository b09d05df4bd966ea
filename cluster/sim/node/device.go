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

// Overflow is the wait for a link, in ns, beyond which its queue has no room: a packet is dropped and sent again.
const Overflow = int64(10e6)

// Resend is how long the first wait for a lost message is, in ns: TCP's least retransmission timeout in Linux. It doubles
// with each loss.
const Resend = int64(200e6)

// Resent draws how often a message is lost that is lost with probability p each time, MaxResent times at most, and how many
// nanoseconds that delays it. chance draws from [0, 1).
func Resent(p float64, chance func() float64) (times int, delay int64) {
	for times < MaxResent && chance() < p {
		delay += Resend << times
		times++
	}
	return times, delay
}

// MaxResent is how often a message is sent again at most: it is through then, after 25 s.
const MaxResent = 7

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
