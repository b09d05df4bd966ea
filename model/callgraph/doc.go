// Package callgraph says how long requests take from end to end, from the own times of the visits they make: for one call
// graph, and for the mix of graphs that the requests of an endpoint take; and which services make up the tail.
//
// A request's latency is the own time of its entry plus, over the entry's steps, the longest of what goes on side by side,
// where each callee takes its own time plus its steps, as often as it is repeated. What nobody waits for is left out.
// Own times are taken as independent of each other; Calibrate says how far what was observed is from that.
package callgraph
