package readers

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"foresail.dev"
)

type memcached struct{ line line }

func (m *memcached) Close() error { return m.line.close() }

func (m *memcached) Read(ctx context.Context) (Reading, error) {
	r, err := m.read(ctx)
	return r, m.line.check(err)
}

func (m *memcached) read(ctx context.Context) (r Reading, err error) {
	if _, err := m.line.open(ctx); err != nil {
		return r, err
	}
	if err := m.line.send("stats\r\n"); err != nil {
		return r, err
	}
	return parseMemcached(m.line.next)
}

// parseMemcached reads lines "STAT name value" up to "END".
func parseMemcached(next func() (string, error)) (r Reading, err error) {
	r = Reading{Has: foresail.SignalArrivals, Busy: -1}
	commands := false
	for {
		s, err := next()
		if err != nil {
			return Reading{}, err
		}
		if s == "END" {
			break
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(s, "STAT "), " ")
		if !ok || !strings.HasPrefix(s, "STAT ") {
			return Reading{}, fmt.Errorf("memcached answers %.100q to stats", s)
		}
		switch name {
		case "cmd_get", "cmd_set", "cmd_touch", "cmd_flush", "cmd_meta", "incr_hits", "incr_misses", "decr_hits", "decr_misses",
			"delete_hits", "delete_misses", "cas_hits", "cas_misses", "cas_badval":
			commands = true
			v, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				return Reading{}, fmt.Errorf("memcached: %s: %w", name, err)
			}
			if name != "cas_hits" && name != "cas_misses" && name != "cas_badval" { // those are in cmd_set
				r.Arrivals += float64(v)
			}
		case "response_obj_count": // since 1.6.10
			v, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				return Reading{}, fmt.Errorf("memcached: %s: %w", name, err)
			}
			r.InFlight = max(float64(v)-1, 0)
			r.Has |= foresail.SignalInFlight
		}
	}
	if !commands {
		return Reading{}, fmt.Errorf("memcached tells no counts of commands")
	}
	return r, nil
}
