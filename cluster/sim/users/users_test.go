package users_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/users"
	"foresail.dev/load"
)

const beat = int64(100e6)

// sent is a request and its instant.
type sent struct {
	at int64
	users.Request
}

// crowd is users whose requests are answered after a while.
type crowd struct {
	*users.Users
	queue des.Queue
	sent  []sent
	open  int // requests of closed users without an answer
	most  int
}

const onAnswer, ofUsers = 0, 1

func newCrowd(l *load.Load, takes int64, endpoints ...foresail.Endpoint) *crowd {
	c := &crowd{}
	c.Users = users.New(1, &c.queue, ofUsers, func(r users.Request) {
		c.sent = append(c.sent, sent{c.queue.Now(), r})
		if r.Closed {
			c.open++
			c.most = max(c.most, c.open)
			c.queue.At(c.queue.Now()+takes, des.Event{Kind: onAnswer, A: int32(takes)})
		}
	})
	c.SetEndpoints(endpoints)
	c.SetLoad(l)
	return c
}

func (c *crowd) run(d time.Duration) {
	for until := c.queue.Now() + int64(d); c.queue.Now() < until; {
		end := c.queue.Now() + beat
		c.Until(end)
		for e, ok := c.queue.Next(end); ok; e, ok = c.queue.Next(end) {
			if e.Kind == onAnswer {
				c.open--
				c.Answered(int64(e.A))
			} else {
				c.Handle(e)
			}
		}
	}
}

func constant(level float64) *load.Load { return &load.Load{Curve: []load.Segment{{From: level}}} }

func closed(level float64, think time.Duration) *load.Load {
	l := constant(level)
	l.Mode, l.Think = load.Closed, think
	return l
}

// near reports whether a count may be Poisson with a mean.
func near(n int, mean float64) bool { return math.Abs(float64(n)-mean) < 5*math.Sqrt(mean) }

// A spike adds a Poisson process of its own: what comes without it comes with it at the same instants with the same needs,
// and what it adds ends with it.
func TestASpikeLeavesOthersAsTheyAre(t *testing.T) {
	calm, spiky := newCrowd(constant(200), 0, foresail.Endpoint{}), newCrowd(constant(200), 0, foresail.Endpoint{})
	calm.run(30 * time.Second)
	rnd := chance.Purpose(1, chance.ForFaults)
	spiky.run(10 * time.Second)
	spiky.Spike(3, &rnd)
	spiky.run(10 * time.Second)
	spiky.EndSpike()
	spiky.run(10 * time.Second)

	alone := map[sent]bool{}
	for _, s := range calm.sent {
		alone[s] = true
	}
	added := slices.DeleteFunc(slices.Clone(spiky.sent), func(s sent) bool { return alone[s] })
	if len(spiky.sent)-len(added) != len(calm.sent) {
		t.Errorf("%d of %d requests are as without the spike", len(spiky.sent)-len(added), len(calm.sent))
	}
	if !near(len(added), 2*200*10) {
		t.Errorf("%d requests were added, want about %d", len(added), 2*200*10)
	}
	for _, s := range added {
		if s.at < int64(10*time.Second) || s.at > int64(20*time.Second) {
			t.Fatalf("one was added at %v", time.Duration(s.at))
		}
	}
}

// Users of a closed load think and wait in turn: with N of them, N / (think + answer) requests a second, never more than N
// at a time; a spike multiplies them, and those too many leave.
func TestClosedUsersComeAndGo(t *testing.T) {
	c := newCrowd(closed(40, 300*time.Millisecond), int64(100*time.Millisecond), foresail.Endpoint{})
	rate := func(d time.Duration) int {
		before := len(c.sent)
		c.run(d)
		return len(c.sent) - before
	}
	if n := rate(20 * time.Second); !near(n, 40/0.4*20) || c.most > 40 {
		t.Errorf("%d requests, %d at a time", n, c.most)
	}
	rnd := chance.Purpose(1, chance.ForFaults)
	c.Spike(2, &rnd)
	rate(time.Second)
	if n := rate(20 * time.Second); !near(n, 80/0.4*20) || c.most > 80 {
		t.Errorf("spike: %d requests, %d at a time", n, c.most)
	}
	c.EndSpike()
	rate(3 * time.Second)
	if n := rate(20 * time.Second); !near(n, 40/0.4*20) {
		t.Errorf("after the spike: %d requests", n)
	}
	c.SetLoad(constant(50))
	rate(3 * time.Second)
	if n := rate(20 * time.Second); !near(n, 50*20) || c.open != 0 {
		t.Errorf("an open load in its place: %d requests, %d users wait", n, c.open)
	}
}

// Users who don't think and are answered at once send one request a millisecond each.
func TestTimeGoesOn(t *testing.T) {
	c := newCrowd(closed(3, 0), 0, foresail.Endpoint{})
	c.run(time.Second)
	if n := len(c.sent); n < 2990 || n > 3003 {
		t.Errorf("%d requests", n)
	}
}

// Nobody calls what has gone.
func TestNobodyCallsWhatHasGone(t *testing.T) {
	l := constant(100)
	c := newCrowd(l, 0, foresail.Endpoint{Name: "a"}, foresail.Endpoint{Name: "b"})
	c.run(10 * time.Second)
	counts := [2]int{}
	for _, s := range c.sent {
		counts[s.Endpoint]++
	}
	if !near(counts[0], 500) || !near(counts[1], 500) {
		t.Errorf("%v requests", counts)
	}
	c.SetEndpoints([]foresail.Endpoint{{Name: "a", Gone: true}, {Name: "b"}})
	before := len(c.sent)
	c.run(10 * time.Second)
	for _, s := range c.sent[before:] {
		if s.Endpoint == 0 {
			t.Fatal("a request to an endpoint that has gone")
		}
	}
	if n := len(c.sent) - before; !near(n, 1000) {
		t.Errorf("%d requests to the endpoint that is left", n)
	}
	c.SetEndpoints([]foresail.Endpoint{{Name: "a", Gone: true}, {Name: "b", Gone: true}})
	before = len(c.sent)
	c.run(time.Second)
	if len(c.sent) != before {
		t.Error("requests where there is nothing to call")
	}
}
