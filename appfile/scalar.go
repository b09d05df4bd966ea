package appfile

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size: "256MiB", "1.5GiB", "10MB" (a million bytes each), or a plain number of bytes.
type Bytes int64

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	v, err := parseBytes(string(text))
	*b = Bytes(v)
	return err
}

// Share is a part of a whole: 0.9 or "90%", always within 0..1.
type Share float64

// UnmarshalText reads a share.
func (s *Share) UnmarshalText(text []byte) error {
	t, whole := strings.TrimSuffix(string(text), "%"), 1.0
	if t != string(text) {
		whole = 100
	}
	v, err := parseFloat(t)
	if err != nil {
		return fmt.Errorf("%q is not a share; write 0.9 or 90%%", text)
	}
	if v /= whole; v < 0 || v > 1 {
		return fmt.Errorf("is %s, must lie within 0..1", text)
	}
	*s = Share(v)
	return nil
}

var decimal = regexp.MustCompile(`^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$`)

// parseFloat reads a finite decimal number: no hexadecimal, no octal, no infinity.
func parseFloat(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !decimal.MatchString(text) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a finite decimal number", text)
	}
	return v, nil
}

func parseInt(text string) (int64, error) {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !decimal.MatchString(text) {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return v, nil
}

var units = []struct {
	suffix string
	bytes  float64
}{ // longest first
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

func parseBytes(text string) (int64, error) {
	number, unit := text, 1.0
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	v, err := parseFloat(number)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a size; write it like 256MiB", text)
	case v < 0:
		return 0, fmt.Errorf("is %s, a size must not be negative", text)
	case v*unit > 1<<60:
		return 0, fmt.Errorf("is %s, more than any machine has", text)
	case v*unit != math.Trunc(v*unit):
		return 0, fmt.Errorf("%q is not a whole number of bytes", text)
	}
	return int64(v * unit), nil
}

var days = regexp.MustCompile(`^(\d{1,5})d(.*)$`)

// parseDuration is time.ParseDuration with days before the hours, and without negative durations.
func parseDuration(text string) (time.Duration, error) {
	rest, whole := text, time.Duration(0)
	if m := days.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		if whole, rest = time.Duration(n)*24*time.Hour, m[2]; rest == "" {
			rest = "0s"
		}
	}
	d, err := time.ParseDuration(rest)
	if _, number := parseFloat(text); number == nil && text != "0" {
		return 0, fmt.Errorf("%q has no unit; write it like %sms or %ss", text, text, text)
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration; write it like 250us, 20ms, 1m30s or 7d", text)
	case d < 0 || strings.ContainsAny(rest, "-"):
		return 0, fmt.Errorf("is %s, a duration must not be negative", text)
	case whole+d < whole || whole > 100_000*24*time.Hour:
		return 0, fmt.Errorf("%q is too long", text)
	}
	return whole + d, nil
}

// interval is "min..max", or one value that is both.
type interval[T int | float64 | Bytes | time.Duration] struct {
	Min, Max T
	ok       bool // was read without a fault
}

// UnmarshalText reads an interval; both ends belong to it.
func (r *interval[T]) UnmarshalText(text []byte) error {
	low, high, two := strings.Cut(string(text), "..")
	if !two {
		high = low
	}
	var errs [2]error
	r.Min, errs[0] = parseNumber[T](strings.TrimSpace(low))
	r.Max, errs[1] = parseNumber[T](strings.TrimSpace(high))
	if err := errors.Join(errs[0], errs[1]); err != nil {
		return fmt.Errorf("%q is not a range like 1..8, nor one value", text)
	}
	if r.Min > r.Max {
		return fmt.Errorf("is %s, but the least must not exceed the most", text)
	}
	r.ok = true
	return nil
}

func parseNumber[T int | float64 | Bytes | time.Duration](text string) (T, error) {
	switch any(T(0)).(type) {
	case int:
		v, err := parseInt(text)
		return T(v), err
	case Bytes:
		v, err := parseBytes(text)
		return T(v), err
	case time.Duration:
		v, err := parseDuration(text)
		return T(v), err
	default:
		v, err := parseFloat(text)
		return T(v), err
	}
}
