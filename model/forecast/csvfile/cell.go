package csvfile

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// signError is a load that is a number, but none that a load can be.
type signError struct{ text string }

func (e signError) Error() string {
	return fmt.Sprintf("has the load %s: it must be a number from 0 on, or empty where nothing was observed", e.text)
}

var decimal = regexp.MustCompile(`^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$`)

// mostLoad is beyond every load, and its square is finite.
const mostLoad = 1e15

// loadOf reads a load; NaN for one that was not observed.
func loadOf(text string) (float64, error) {
	switch strings.ToLower(text) {
	case "", "nan", "null", "na", "n/a", "-":
		return math.NaN(), nil
	case "inf", "+inf", "-inf", "infinity":
		return 0, signError{text}
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case !decimal.MatchString(text):
		return 0, fmt.Errorf("has the load %.40q: it must be a number", text)
	case err != nil || v < 0 || v > mostLoad:
		return 0, signError{fmt.Sprintf("%.40s", text)}
	}
	return v + 0, nil // no negative zero
}

var layouts = []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02", "2006-01-02 15:04:05Z07:00"}

// reader reads instants in the order of lines.
type reader struct {
	zone *time.Location
	last time.Time
}

// read reads an instant: with a zone, without one, or as seconds or milliseconds since 1970. A local time that was twice, when
// clocks were set back, is the first of the two unless that would be before the line above.
func (r *reader) read(text string) (time.Time, error) {
	if decimal.MatchString(text) {
		v, err := strconv.ParseFloat(text, 64)
		if err == nil && v >= 1e11 {
			v /= 1000
		}
		if err != nil || !(v >= 0 && v < 1e10) {
			return time.Time{}, fmt.Errorf("has the instant %.40s: as a number it is seconds or milliseconds since 1970", text)
		}
		whole, part := math.Modf(v)
		return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC(), nil
	}
	for _, layout := range layouts {
		at, err := time.ParseInLocation(layout, text, r.zone)
		if err != nil {
			continue
		}
		if at.Year() < 1900 || at.Year() > 2200 {
			return time.Time{}, fmt.Errorf("has the instant %.40q: years from 1900 to 2200 are read", text)
		}
		if !strings.Contains(layout, "Z07") {
			if wall, _ := time.Parse(layout, text); !sameClock(wall, at) {
				return time.Time{}, fmt.Errorf("has the instant %.40q, which there was not in %s: clocks were set forward", text, r.zone)
			}
			at = r.which(at)
		}
		r.last = at
		return at, nil
	}
	return time.Time{}, fmt.Errorf("has the instant %.40q: write it like 2026-01-31 23:59:00, 2026-01-31T23:59:00+01:00 or as seconds since 1970", text)
}

// which of the two instants with one local time is meant.
func (r *reader) which(at time.Time) time.Time {
	for _, d := range []time.Duration{30 * time.Minute, time.Hour} {
		if sameClock(at, at.Add(-d)) {
			at = at.Add(-d)
		}
		if later := at.Add(d); sameClock(at, later) {
			if !r.last.IsZero() && !at.After(r.last) {
				return later
			}
			return at
		}
	}
	return at
}

func sameClock(a, b time.Time) bool {
	return a.Hour() == b.Hour() && a.Minute() == b.Minute() && a.Second() == b.Second() && a.Day() == b.Day()
}
