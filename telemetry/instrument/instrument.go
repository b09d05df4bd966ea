package instrument

import (
	"os"
	"sync"
	"time"
)

// Instrument counts a process's requests and reports them until Close. It is safe for concurrent use, and a nil one
// counts nothing.
type Instrument struct {
	servers, clients *table
	sender           *sender
	stop             chan struct{}
	done             chan struct{}
	once             sync.Once
}

// New begins to report. Nothing needs to listen yet.
func New(c Config) (*Instrument, error) {
	if err := c.complete(os.Getenv); err != nil {
		return nil, err
	}
	in := &Instrument{servers: newTable(c.MaxEndpoints), clients: newTable(c.MaxEndpoints), sender: newSender(&c),
		stop: make(chan struct{}), done: make(chan struct{})}
	go in.report(&c, time.Now())
	return in, nil
}

// Server is the counter of requests to an endpoint of this process.
func (in *Instrument) Server(endpoint string) *Endpoint {
	if in == nil {
		return nil
	}
	return in.servers.endpoint(endpoint)
}

// Client is the counter of requests of this process to another service.
func (in *Instrument) Client(endpoint string) *Endpoint {
	if in == nil {
		return nil
	}
	return in.clients.endpoint(endpoint)
}

// Stats are the counts of reports so far.
func (in *Instrument) Stats() Stats {
	if in == nil {
		return Stats{}
	}
	return in.sender.stats()
}

// Close sends what was counted last and ends reporting; that takes two seconds at most. Counting goes on, for nobody. It may be called
// again.
func (in *Instrument) Close() {
	if in == nil {
		return
	}
	in.once.Do(func() { close(in.stop) })
	<-in.done
}

// report makes reports until Close.
func (in *Instrument) report(c *Config, start time.Time) {
	defer close(in.done)
	at := ticks()
	servers, clients := &meter{table: in.servers, began: at}, &meter{table: in.clients, began: at}
	enc := newEncoder(clip(c.Service), clip(c.Instance), start)
	from := start.Round(0) // the wall clock's
	quiet := 0             // idle beats since the last report
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// An idle process is read once a beat, so that dozens of them cost nothing.
		step := beat / readings
		if quiet > 0 {
			step = beat
		}
		now := time.Now()
		timer.Reset(now.Truncate(step).Add(step).Sub(now))
		closing := false
		select {
		case <-timer.C:
		case <-in.stop:
			closing = true
		}
		now = time.Now()
		servers.read()
		clients.read()
		end := now.Truncate(beat)
		if closing {
			end = now
		}
		switch {
		case closing && !end.After(from):
			end = from.Add(1) // nothing counted is left out
		case !end.After(from.Add(-beat)): // the clock was set back
			from = end.Add(-beat)
		case !end.After(from):
			continue
		}
		at = ticks()
		busy := servers.turn(at)
		busy = clients.turn(at) || busy
		if quiet++; busy {
			quiet = 0
		}
		if closing || busy || quiet == 1 || quiet%idleTell == 0 {
			in.sender.send(func() []byte { return enc.report(span{from, end}, servers, clients) })
		}
		servers.begin()
		clients.begin()
		from = end
		if closing {
			in.sender.close()
			return
		}
	}
}
