package scenario

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is what a number counts.
type unit uint8

const (
	count unit = iota
	seconds
	offset // a time since the start, in seconds
	share
	cores
	perSecond
	bytes
)

var unitHints = [...]string{"a number like 3", "a duration like 40ms", "a time like 2m30s", "a share like 5% or 0.05", "a number of cores like 2.5",
	"a number a second like 300", "a size like 64MiB"}

// show writes a value for people: three significant digits.
func (u unit) show(v float64) string {
	switch {
	case math.IsNaN(v):
		return "not observed"
	case u == seconds && math.Abs(v) < 1:
		return digits(v*1e3) + "ms"
	case u == seconds:
		return digits(v) + "s"
	case u == offset:
		return clock(time.Duration(math.Round(v*1e3) * 1e6))
	case u == share:
		return digits(v*100) + "%"
	case u == cores:
		return digits(v) + " cores"
	case u == perSecond:
		return digits(v) + "/s"
	case u == bytes:
		return digits(v/(1<<20)) + "MiB"
	}
	return digits(v)
}

// digits keeps three of them, and all of a whole number.
func digits(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e9 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', min(max(decimals, 0), 6), 64)
}

// read reads a value of a unit; nothing stands for what is no literal at all.
func (u unit) read(text string) (v float64, err error) {
	switch u {
	case seconds, offset:
		d, derr := duration(text)
		v, err = d.Seconds(), derr
	case share:
		t, percent := strings.CutSuffix(text, "%")
		if v, err = number(t); percent {
			v /= 100
		}
	case bytes:
		t, unit := text, 1.0
		for suffix, size := range map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
			if n, ok := strings.CutSuffix(text, suffix); ok {
				t, unit = n, size
			}
		}
		v, err = number(t)
		v *= unit
	default:
		v, err = number(text)
	}
	if err != nil {
		return 0, fmt.Errorf("%q must be %s", text, unitHints[u])
	}
	return v, nil
}

// number reads a finite decimal number.
func number(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsInf(v, 0) || math.IsNaN(v) || strings.ContainsAny(text, "xXpP_")) {
		err = strconv.ErrSyntax
	}
	return v, err
}

// duration is a time.Duration that is not negative.
func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return d, err
}

// literal reports whether a word begins like a number.
func literal(text string) bool {
	return text != "" && (text[0] >= '0' && text[0] <= '9' || text[0] == '.' || text[0] == '-')
}

// alike reports whether values of two units may be compared.
func alike(a, b unit) bool {
	return a == b || a.time() && b.time()
}

func (u unit) time() bool { return u == seconds || u == offset }

// clock writes a time without the zeroes that Go's own form has: 2m rather than 2m0s.
func clock(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
