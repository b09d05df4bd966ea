// Package store keeps the history of an application on disk, in Prometheus's own TSDB, and gives it back as snapshots over any range
// and step.
//
// What a store holds is what package series says of snapshots, in two databases: all snapshots as they were appended, for some
// days, and one of each minute, merged from them, for months. docs/formats/history.md has the layout.
//
// # What is acknowledged
//
// Append returns nil once the snapshot is in the write-ahead log: it survives the end of the process at any instant. Against the
// loss of power the log is forced to disk every Options.Sync; what came since the last time may be lost then. A snapshot is
// there as a whole or not at all. Only final snapshots go in: what came late must have been applied (see Recorder, which waits for it).
//
// After a failure to write, as on a full disk, the databases are opened anew before the next snapshot goes in, so that nothing
// acknowledged ever stands behind a torn record; Append then fails at once until DefaultRetry has passed by the snapshots' time.
package store
