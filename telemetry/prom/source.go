package prom

import (
	"context"
	"errors"
	"fmt"
	"time"

	"foresail.dev"
)

// Source gives a snapshot for each interval, on time. It is the observing half of a foresail.Cluster; the other half acts.
type Source struct {
	*Reader
	setup  setup
	every  time.Duration
	plan   *plan
	opened time.Time
	sought time.Time // when series were looked for last
	base   *moment   // at the end of the last interval
	end    time.Time // of it
}

// ErrNothing is wrapped by Open's error where the server answers, and has nothing to read.
var ErrNothing = errors.New("no series that a recipe knows")

// refind is how often it looks for series that were not there before: more often at first, when replicas that have started
// are found one after the other.
func (s *Source) refind() time.Duration {
	if s.cfg.Now().Sub(s.opened) < 2*time.Minute {
		return 10 * time.Second
	}
	return time.Minute
}

// Open finds out what is there: how often it is scraped, and which series. It fails where nothing answers, and where nothing
// that it knows is there.
func Open(ctx context.Context, cfg Config) (*Source, error) {
	r, err := NewReader(cfg)
	if err != nil {
		return nil, err
	}
	s := &Source{Reader: r}
	if s.setup, s.plan, err = r.explore(ctx); err != nil {
		return nil, err
	}
	if len(s.plan.queries) == 0 {
		return nil, fmt.Errorf("prometheus: %s: %w of %s; see foresail doctor --prometheus %s",
			redacted(cfg.URL), ErrNothing, r.app.Name, redacted(cfg.URL))
	}
	for _, n := range s.plan.notes {
		r.tell(n)
	}
	s.opened = r.cfg.Now()
	s.every, s.sought = r.interval(s.setup), s.opened
	if s.every < s.setup.scrape {
		r.tell(fmt.Sprintf("an interval of %v is shorter than the %v between scrapes: some snapshots will be empty, and others hold two scrapes", s.every, s.setup.scrape))
	}
	return s, nil
}

// explore asks for the server's clock, the series and how far their samples are apart.
func (r *Reader) explore(ctx context.Context) (s setup, p *plan, err error) {
	if s, err = r.clock(ctx); err != nil {
		return s, nil, err
	}
	r.client.params.Set("latency_offset", "1s") // of VictoriaMetrics, which else hides the last 30 s; others ignore it
	at := s.look(r.cfg.Now())
	if p, err = r.find(ctx, at); err != nil {
		return s, nil, fmt.Errorf("prometheus: %s: %w", redacted(r.client.access.URL), err)
	}
	s.scrape = r.scraped(ctx, p, at)
	r.client.params.Set("max_lookback", seconds(s.look(r.cfg.Now()).back)) // as above
	return s, p, nil
}

// Ready reports whether every service's CPU or requests are there, and it is known how far samples are apart: before, what
// has just started is still being found.
func (s *Source) Ready() bool {
	seen := map[foresail.ServiceID]bool{}
	for _, f := range s.plan.found {
		if f.kind == CPU || f.kind == Requests || f.kind == RequestsTotal {
			for id := range f.serves {
				seen[id] = true
			}
		}
	}
	for i := range s.app.Services {
		if !s.app.Services[i].Gone && !seen[foresail.ServiceID(i)] {
			return false
		}
	}
	return s.setup.scrape > 0
}

// App is the application.
func (s *Source) App() *foresail.App { return s.app }

// Every is the interval's length.
func (s *Source) Every() time.Duration { return s.every }

// patience is how long after the time to ask a snapshot may be late.
func (s *Source) patience() time.Duration { return min(s.every/2, 5*time.Second) }

// Next waits for the end of the next interval and Config.Lag more, and returns what happened in it. What is not answered
// within half an interval, 5 s at most, is absent, and where nothing is, the snapshot is stale; the next one asks for the
// interval's start again, so that nothing is counted twice or in the wrong one. When it is called late, one snapshot covers
// what was missed.
func (s *Source) Next(ctx context.Context) (*foresail.Snapshot, error) {
	now := s.cfg.Now()
	if s.end.IsZero() {
		s.end = now.Add(-s.cfg.Lag).Truncate(s.every)
	}
	start := s.end
	end := start.Add(s.every)
	if late := now.Add(-s.cfg.Lag).Sub(end); late >= s.every {
		end = end.Add(late.Truncate(s.every))
	}
	due := end.Add(s.cfg.Lag)
	if now.Sub(s.sought) >= s.refind() && due.Sub(now) > s.every/4 {
		s.seek(ctx, due)
	}
	if err := sleep(ctx, due.Sub(s.cfg.Now())); err != nil {
		return nil, err
	}
	base := s.base
	if base == nil || !base.at.Equal(s.setup.look(start).at) {
		base = &moment{look: s.setup.look(start)}
	}
	next := &moment{look: s.setup.look(end)}
	asking, cancel := context.WithTimeout(ctx, due.Add(s.patience()).Sub(s.cfg.Now()))
	defer cancel()
	s.ask(asking, next, s.plan)
	s.ask(asking, base, s.plan) // but for the first time, and after a failure, it is answered already
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	next.carry(base)
	s.base, s.end = next, end
	return s.between(s.plan, base, next, start.UTC(), end.UTC()), nil
}

// seek looks for what was not there before, while there is time.
func (s *Source) seek(ctx context.Context, due time.Time) {
	ctx, cancel := context.WithTimeout(ctx, due.Sub(s.cfg.Now()))
	defer cancel()
	s.sought = s.cfg.Now()
	l := s.setup.look(s.sought)
	p, err := s.find(ctx, l)
	if err != nil {
		if ctx.Err() == nil {
			s.tell(err.Error())
		}
		return
	}
	for _, n := range p.notes {
		s.tell(n)
	}
	if len(p.queries) > 0 && !p.partial { // what is gone, or not told, for a moment may come back
		s.plan = p
	}
	if s.setup.scrape == 0 {
		s.setup.scrape = s.scraped(ctx, s.plan, l)
	}
}

// sleep waits for d.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
