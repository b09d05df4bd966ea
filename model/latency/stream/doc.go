// Package stream turns streams of telemetry into tables that package latency learns from: Fluxion's ingestion engine (Liang et
// al., NSDI 2023, §4.3).
//
// A stream has a label, frontend:0.90 say, and values with sequence numbers, Unix seconds for instance; values of all streams
// that have one number are one row. Streams come late, twice, in disorder, with gaps, with nonsense in between, and end
// without a word. All of that is counted and told, nothing of it is guessed at, and none of it can make memory grow beyond
// what Config allows.
package stream
