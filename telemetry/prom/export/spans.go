package export

import "foresail.dev/telemetry"

// Spans tells what became of spans.
func Spans(stats func() telemetry.Stats) Source {
	return func(emit func(name string, v float64, labels ...string)) {
		s := stats()
		for _, c := range []struct {
			name, label string
			n           uint64
		}{
			{"foresail_spans_total", "assembled", s.Assembled}, {"foresail_spans_total", "outside", s.Outside},
			{"foresail_spans_total", "duplicate", s.Duplicate}, {"foresail_spans_total", "dropped", s.Dropped.Total()},
			{"foresail_spans_dropped_total", "malformed", s.Dropped.Malformed}, {"foresail_spans_dropped_total", "too_late", s.Dropped.TooLate},
			{"foresail_spans_dropped_total", "ahead", s.Dropped.Ahead}, {"foresail_spans_dropped_total", "limit", s.Dropped.Limit},
			{"foresail_spans_dropped_total", "orphan", s.Dropped.Orphan},
		} {
			emit(c.name, float64(c.n), c.label)
		}
		emit("foresail_spans_waiting", float64(s.Waiting))
		emit("foresail_calls_lost_total", float64(s.CallsLost))
	}
}
