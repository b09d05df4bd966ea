// Package shapes finds, in spans, the call graphs that requests take: foresail.Snapshot.Shapes.
//
// # From spans to visits
//
// A trace is looked at once no span of it came for a while (Options.Wait), or at once where its maker knows that it is whole
// (Collector.Trace). A visit is a span of kind server or consumer of one of the application's services, but for a layer within the
// same server. Where the caller has a client span for it, the visit lasts as long as that, so that the way there and back and the wait
// for a connection belong to the callee; else as long as its own. Spans without a kind are read as package telemetry reads them. Internal
// spans, and all spans of services that are not the application's, are parts of the visit that they lie in. A client span beneath which
// nobody reports is a visit where it begins with a service's name ("db/find", "db find"); else it is part of its caller.
//
// A trace that lacks a span tells no shape: where a parent is missing, or where a call that did not fail has no server span although such
// calls have. Two gaps are mended, where there is only one way to: a server span whose client span is missing, and a first span whose
// own parent is not known here.
//
// # From visits to forms
//
// What one visit calls is put into steps: calls that go on side by side are one step, others follow. Two traces of the same code must not
// differ because a call was quick for once, so it is learnt, for each caller and each pair of its callees, whether they ever overlap, and
// for each callee whether its answer comes after its caller's; see docs/decisions/shapes.md. Calls alike that follow each other are one
// visit of the form with Times, exact up to eight, rounded to a power of two beyond, on the scale of ratios; of those that go on side
// by side beyond eight as many are told, rounded down. Beyond sixteen steps of one caller, calls alike are taken together
// wherever they stand. Calls that nobody waits for come in a step of their own, the last. Attempts of which all but the last failed are one
// visit, from the first being asked.
//
// # Own time
//
// A visit's own time is how long it lasted, less, for each step, the longest of what goes on side by side in it. For calls that begin
// together this is the time in which none of them is in progress; of calls that don't, what the second was asked later is the caller's. So the own
// times of a request, those of a step's longest branch at a time, come to its latency. Visits that failed tell no own time.
//
// # Memory
//
// Everything is bounded by Options. Of each endpoint the most frequent forms of late are told by themselves; what is rarer counts to
// the nearest of these by calls per service, and Stats.Pooled tells what that costs.
package shapes
