package insight

import "time"

// Config holds what decides whether something is told. The zero value of a field means its default.
type Config struct {
	// MinWindows is the least number of violated windows that an insight took part in; below it nothing is told. Negative: none is
	// needed, so that designs that cost nothing yet are told, too.
	MinWindows int
	// MinRequests is the least number of requests, or calls, that anything is said of.
	MinRequests float64
	// MinSpans is the least number of spans of an operation in sampled traces before its calls are judged by them.
	MinSpans int
	// ChattyCalls is how many calls a request makes to one service, on average, before the pair is called chatty. A request that reads
	// from a cache, reads from a database and writes the cache again makes three.
	ChattyCalls float64
	// FanOut is how many services a request calls directly before that is called excessive. Of ten services that each answer 1 % of
	// calls late, one is late for a tenth of the requests (1 - 0.99^10).
	FanOut float64
	// Amplification is what calls for each request are multiplied by, when calls fail, before retries are called amplifying.
	Amplification float64
	// Idle is the largest share of its allocated CPU that a service uses whose requests are said to be blocked.
	Idle float64
}

// Defaults of a Config.
const (
	DefaultMinWindows    = 3
	DefaultMinRequests   = 100
	DefaultMinSpans      = 20
	DefaultChattyCalls   = 8
	DefaultFanOut        = 10
	DefaultAmplification = 1.2
	DefaultIdle          = 0.5
)

// What follows from what the numbers are, and is nobody's to choose.
const (
	cellLength = time.Second // over which it is judged whether all was calm, and whether calls of an edge failed
	failing    = 0.01        // share of an edge's calls that fail in a cell where it is said to fail
	half       = 0.5         // what accounts for at least half of something accounts for it
	grown      = 2           // times its normal: a stay that has grown
	noticeable = 0.05        // share of its caller's excess below which a callee that has grown is left alone
	quarter    = 0.25        // share of the time lost that a resource must account for to be named
	nearLimit  = 0.9         // share of a limit that is near it
	retransmit = 0.2         // seconds until Linux sends a lost segment again, at least (TCP_RTO_MIN)
	batch      = 1000        // violated windows that are kept until they are looked into
)

func (c Config) withDefaults() Config {
	or := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	if c.MinWindows == 0 {
		c.MinWindows = DefaultMinWindows
	}
	if c.MinSpans == 0 {
		c.MinSpans = DefaultMinSpans
	}
	or(&c.MinRequests, DefaultMinRequests)
	or(&c.ChattyCalls, DefaultChattyCalls)
	or(&c.FanOut, DefaultFanOut)
	or(&c.Amplification, DefaultAmplification)
	or(&c.Idle, DefaultIdle)
	return c
}
