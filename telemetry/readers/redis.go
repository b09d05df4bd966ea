package readers

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"foresail.dev"
)

type redis struct {
	line     line
	password string
}

func (c *redis) Close() error { return c.line.close() }

func (c *redis) Read(ctx context.Context) (Reading, error) {
	r, err := c.read(ctx)
	return r, c.line.check(err)
}

// sections are asked for one by one: before Redis 7, INFO takes one.
var sections = [...]string{"clients", "stats", "commandstats"}

func (c *redis) read(ctx context.Context) (r Reading, err error) {
	opened, err := c.line.open(ctx)
	if err != nil {
		return r, err
	}
	if opened && c.password != "" {
		if err := c.line.send(fmt.Sprintf("*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n", len(c.password), c.password)); err != nil {
			return r, err
		}
		s, err := c.line.next()
		if err == nil && s != "+OK" {
			err = fmt.Errorf("redis refuses the password: %.100q", s)
		}
		if err != nil {
			return r, err
		}
	}
	var text strings.Builder
	request := ""
	for _, s := range sections {
		request += "INFO " + s + "\r\n"
	}
	if err := c.line.send(request); err != nil {
		return r, err
	}
	for range sections {
		if err := c.bulk(&text); err != nil {
			return r, err
		}
	}
	return parseRedis(text.String())
}

// bulk reads one bulk string: its length, its lines, an empty one.
func (c *redis) bulk(to *strings.Builder) error {
	s, err := c.line.next()
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimPrefix(s, "$"))
	if err != nil || !strings.HasPrefix(s, "$") || n < 0 {
		return fmt.Errorf("redis answers %.100q to INFO", s)
	}
	if n > maxAnswer || n > c.line.left {
		return errLarge
	}
	for n > 0 {
		s, err := c.line.next()
		if err != nil {
			return err
		}
		n -= len(s) + 2
		to.WriteString(s)
		to.WriteByte('\n')
	}
	_, err = c.line.next()
	return err
}

// parseRedis reads lines "name:value" of INFO's sections clients, stats and commandstats. A line of the last is
// "cmdstat_get:calls=1,usec=2,usec_per_call=2.00,…".
func parseRedis(text string) (r Reading, err error) {
	r = Reading{Has: foresail.SignalInFlight | foresail.SignalQueue | foresail.SignalArrivals}
	var found int
	for s := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(s), ":")
		if !ok {
			continue
		}
		var to *float64
		switch {
		case name == "blocked_clients":
			to = &r.Queue
			found |= 1
		case name == "total_commands_processed":
			to = &r.Arrivals
			found |= 2
		case name == "total_error_replies": // since 6.2
			to = &r.Errors
			r.Has |= foresail.SignalErrors
		case name == "cmdstat_info" || name == "cmdstat_auth":
			own, err := field(value, "calls")
			if err != nil {
				return Reading{}, fmt.Errorf("redis: %s: %w", name, err)
			}
			r.Completions += own // for now: what the readers asked
		case strings.HasPrefix(name, "cmdstat_"):
			busy, err := field(value, "usec")
			if err != nil {
				return Reading{}, fmt.Errorf("redis: %s: %w", name, err)
			}
			r.Busy += busy / 1e6
		}
		if to != nil {
			v, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				return Reading{}, fmt.Errorf("redis: %s: %w", name, err)
			}
			*to = float64(v)
		}
	}
	if found != 3 {
		return Reading{}, fmt.Errorf("redis tells neither clients nor commands: %.100q", text)
	}
	r.Arrivals, r.Completions = max(r.Arrivals-r.Completions, 0), 0
	r.InFlight = r.Queue
	return r, nil
}

// field is a number in a list "name=number,…".
func field(list, name string) (float64, error) {
	for s := range strings.SplitSeq(list, ",") {
		if v, ok := strings.CutPrefix(s, name+"="); ok {
			n, err := strconv.ParseUint(v, 10, 63)
			return float64(n), err
		}
	}
	return 0, fmt.Errorf("no %s in %.100q", name, list)
}
