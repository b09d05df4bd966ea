package outlet

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Sender brings one message to where it is read.
type Sender interface {
	// Send returns nil once the other side has it. A *Refused error is one that will not go away; any other is worth another try.
	Send(ctx context.Context, m *Message) error
	// Name says what it is and where, without what is secret in it.
	Name() string
}

// Refused is an error that another try won't mend.
type Refused struct{ Text string }

// Error says what the other side said.
func (e *Refused) Error() string { return e.Text }

// Config of an Outlet. Zero fields mean the values given.
type Config struct {
	Queue   int               // messages that wait at most; 0 means 256
	Tries   int               // of each message; 0 means 6
	Timeout time.Duration     // of each try; 0 means 10 s
	First   time.Duration     // wait before the second try, which doubles with each; 0 means 500 ms
	Most    time.Duration     // wait at most; 0 means 30 s
	Tell    func(line string) // a person: when messages begin to be lost, and when they arrive again; nil: nobody
}

func (c Config) withDefaults() Config {
	number := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	number(&c.Queue, 256)
	number(&c.Tries, 6)
	span(&c.Timeout, 10*time.Second)
	span(&c.First, 500*time.Millisecond)
	span(&c.Most, 30*time.Second)
	if c.Tell == nil {
		c.Tell = func(string) {}
	}
	return c
}

// Stats counts messages.
type Stats struct {
	Sent    uint64 // that arrived
	Dropped uint64 // for which there was no room
	Failed  uint64 // that were refused, or given up after all tries
	Retries uint64
}

// Outlet brings messages to a Sender, in order, one at a time.
type Outlet struct {
	c     Config
	to    Sender
	queue chan *Message
	stop  context.CancelFunc
	done  chan struct{}
	once  sync.Once
	lost  bool // the newest message was; of the worker

	sent, dropped, failed, retries atomic.Uint64
}

// Open begins to send. Close ends it.
func Open(to Sender, c Config) *Outlet {
	ctx, stop := context.WithCancel(context.Background())
	o := &Outlet{c: c.withDefaults(), to: to, stop: stop, done: make(chan struct{})}
	o.queue = make(chan *Message, o.c.Queue)
	go o.run(ctx)
	return o
}

// Put hands a message over and returns at once; false: there was no room, and it is dropped. It must not be called after Close.
func (o *Outlet) Put(m *Message) bool {
	select {
	case o.queue <- m:
		return true
	default:
		o.dropped.Add(1)
		return false
	}
}

// Close sends what waits for as long as grace, then gives up.
func (o *Outlet) Close(grace time.Duration) {
	o.once.Do(func() { close(o.queue) })
	limit := time.AfterFunc(grace, o.stop)
	<-o.done
	limit.Stop()
	o.stop()
}

// Name is the sender's.
func (o *Outlet) Name() string { return o.to.Name() }

// Stats counts so far.
func (o *Outlet) Stats() Stats {
	return Stats{Sent: o.sent.Load(), Dropped: o.dropped.Load(), Failed: o.failed.Load(), Retries: o.retries.Load()}
}

func (o *Outlet) run(ctx context.Context) {
	defer close(o.done)
	for m := range o.queue {
		err := o.send(ctx, m)
		switch {
		case err == nil:
			o.sent.Add(1)
			if o.lost {
				o.c.Tell(o.to.Name() + ": messages arrive again")
			}
		default:
			o.failed.Add(1)
			if !o.lost {
				o.c.Tell(o.to.Name() + ": a message is lost: " + err.Error())
			}
		}
		o.lost = err != nil
	}
}

// send tries until a message arrives or is given up.
func (o *Outlet) send(ctx context.Context, m *Message) error {
	wait := o.c.First
	for try := 1; ; try++ {
		err := o.try(ctx, m)
		var refused *Refused
		if err == nil || errors.As(err, &refused) || try == o.c.Tries || ctx.Err() != nil {
			return err
		}
		o.retries.Add(1)
		t := time.NewTimer(wait/2 + rand.N(wait/2+1)) // not all at once
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
		wait = min(2*wait, o.c.Most)
	}
}

func (o *Outlet) try(ctx context.Context, m *Message) error {
	ctx, cancel := context.WithTimeout(ctx, o.c.Timeout)
	defer cancel()
	err := o.to.Send(ctx, m)
	var u *url.Error
	if errors.As(err, &u) { // its text has the whole address, and that may hold a token
		return u.Err
	}
	return err
}
