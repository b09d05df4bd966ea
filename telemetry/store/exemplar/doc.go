// Package exemplar keeps whole traces of a few requests on disk: for each application and minute the slowest, and a
// random sample of all. The slowest show what goes wrong; the random ones show what is ordinary, and are an unbiased
// sample of a minute's requests for whoever learns from traces.
//
// Spans go through three stages, each bounded. A Recorder gathers them by trace; a trace is whole when nothing came for
// it during a wait. A Chooser keeps, of each minute, the slowest and a reservoir. A Store writes what was chosen.
//
// # Files
//
// A store is a folder with one folder for each application, in which each hour has at least one file:
//
//	DIR/APPLICATION/2026-11-27T21-0001.jsonl      being written
//	DIR/APPLICATION/2026-11-27T20-0001.jsonl.gz   closed and compressed (or .jsonl.zst)
//
// Each line is one trace in the OTLP JSON file format, as the OpenTelemetry Collector's file exporter writes it, so that
// its receivers and other tools read the files as they are. The scope of the spans is named foresail.dev/exemplar and
// has two attributes: "foresail.kept" says why the trace was kept ("slowest", "random" or "slowest,random"), and
// "foresail.application" what it is of. A trace belongs to the hour and minute in which its root span ended; the hour in a file's name is that of all its traces. The
// number at the end grows when a file has become an eighth of what the store may hold, and when something comes for an
// hour whose file was closed.
//
// With a key all files are encrypted: the one being written is a seal.Journal (.jsonl.sealed), a closed one is sealed whole
// (.jsonl.gz.sealed), and the folder's name is a tag of the application's.
//
// # What a crash leaves
//
// Append returns after what it wrote is on disk. A line that a crash tore is the last of a file that was being written:
// it is cut off when the store is opened for writing, and skipped by who only reads; both count it. Closed files appear
// under their name when they are complete.
package exemplar
