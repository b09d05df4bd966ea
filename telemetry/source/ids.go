package source

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Hex reads an id into dst: hexadecimal, zeros in front left out.
func Hex(dst []byte, s string) error {
	if s == "" {
		return errors.New("it is missing")
	}
	if len(s) > 2*len(dst) {
		return fmt.Errorf("%.40q is longer than %d hexadecimal digits", s, 2*len(dst))
	}
	if len(s) < 2*len(dst) {
		s = strings.Repeat("0", 2*len(dst)-len(s)) + s
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("%q is not hexadecimal", s)
	}
	return nil
}

// latest bounds times: 2200, in µs, so that nanoseconds fit.
const latest = 7_258_118_400_000_000

// Micros are a start and a duration in microseconds as times; the error says which is wrong.
func Micros(start, duration int64) (from, to time.Time, err error) {
	switch {
	case start <= 0 || start > latest:
		return from, to, fmt.Errorf("start %d is not in microseconds since 1970", start)
	case duration < 0 || duration > latest-start:
		return from, to, fmt.Errorf("%d is not a duration in microseconds", duration)
	}
	return time.UnixMicro(start).UTC(), time.UnixMicro(start + duration).UTC(), nil
}
