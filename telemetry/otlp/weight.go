package otlp

import (
	"math"
	"strings"
)

// weight is how many spans a sampled one stands for, by the OpenTelemetry entry of its W3C tracestate: 0 when it says
// nothing, negative when the span counts for nothing.
//
//	ot=th:HEX  consistent probability sampling: with rejection threshold T of 2⁵⁶, trailing zeros left out, 2⁵⁶/(2⁵⁶-T)
//	ot=p:N     the older form: 2ᴺ; 63 means that it was not sampled by probability at all
func weight(state []byte) float64 {
	rest := text(state)
	for rest != "" {
		var entry string
		entry, rest, _ = strings.Cut(rest, ",")
		ot, ok := strings.CutPrefix(strings.TrimSpace(entry), "ot=")
		if !ok {
			continue
		}
		return otWeight(ot)
	}
	return 0
}

func otWeight(ot string) float64 {
	older := 0.0
	for ot != "" {
		var part string
		part, ot, _ = strings.Cut(ot, ";")
		if th, ok := strings.CutPrefix(part, "th:"); ok {
			if w := thresholdWeight(th); w != 0 {
				return w
			}
		}
		if p, ok := strings.CutPrefix(part, "p:"); ok {
			older = powerWeight(p)
		}
	}
	return older
}

func thresholdWeight(th string) float64 {
	const digits = 14 // 56 bits
	if th == "" || len(th) > digits {
		return 0
	}
	t := uint64(0)
	for i := range digits {
		d := byte('0')
		if i < len(th) {
			d = th[i]
		}
		switch {
		case d >= '0' && d <= '9':
			t = t<<4 | uint64(d-'0')
		case d >= 'a' && d <= 'f':
			t = t<<4 | uint64(d-'a'+10)
		default:
			return 0
		}
	}
	return float64(1<<56) / float64(1<<56-t)
}

func powerWeight(p string) float64 {
	n := 0
	for _, d := range []byte(p) {
		if d < '0' || d > '9' || n > 63 {
			return 0
		}
		n = 10*n + int(d-'0')
	}
	switch {
	case p == "" || n > 63:
		return 0
	case n == 63:
		return -1
	}
	return math.Ldexp(1, n)
}
