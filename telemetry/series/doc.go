// Package series turns snapshots into Prometheus series and back, without loss.
//
// It is pure: whoever stores, exposes or sends samples uses the same names (Table) and the same rules. docs/formats/history.md
// describes them for readers outside this program:
//
//   - What adds up over time is a cumulative counter, latency a cumulative native float histogram (its buckets are those of a
//     sketch), what goes up and down a gauge. A gauge that has a last value, a mean and a maximum is three series: _last, _mean, _max.
//   - A sample's time is the end of the interval it was observed in, in milliseconds. A snapshot holds what a counter gained
//     since the interval's start: the difference to the sample at the start. Where there is none, because the series is new or was
//     not observed just before, a base sample with the value reached so far is one millisecond into the interval; a writer that
//     starts begins at zero.
//   - What was not observed has no sample. Which signals were observed is itself a series: foresail_service_signals and its like.
//   - foresail_snapshot_seconds, the interval's length, is written last: without its sample there is no snapshot.
package series
