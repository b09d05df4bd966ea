// Package twin fits a simulated application to what was observed of a real one: its spans and its snapshots, which any
// cluster can give, become a foresail.Blueprint. What the real one is made of inside is never looked at.
//
// # Call structure
//
// A server span is a visit of an operation; the client spans below it are the calls that it makes. The n-th call of one
// visit to one operation is a slot. Calls that run side by side in most visits where both are made are one step; those
// that begin when all before have ended begin a new one; one that begins when another has just ended, while others still
// run, follows that other in its branch. A slot is asynchronous when it outlives its visit. A slot that is not in every
// visit is made with a probability: after a single call it becomes what follows a miss of that call's answer, so that
// calls that come together stay together; in a parallel step it has a probability of its own.
//
// A slot after a call that outlived nothing, but could have (an asynchronous call that always ends first), can't be told
// from a parallel one.
//
// # Work
//
// With n visits of operation o in second t, a service used
//
//	CPU(t) = Σ n(o,t)·c(o)
//
// which is solved for c ≥ 0 by least squares, held near κ·g(o), where g is the time of o's spans that none of its calls
// cover and κ is what fits the whole run: where the mix of operations hardly changes, the equations alone say nothing of
// any one. Time in g that c does not explain is I/O, when the median visit's is more than a quarter of c and 0.3 ms.
//
// c is spread over the steps as the gaps between calls are. A step's variation is that of its gaps, from their quartiles,
// so that a few gaps in which a replica waited for a CPU do not count; gaps of a service that was throttled meanwhile are
// left out as long as enough others remain.
//
// # Overheads
//
// c beyond g is CPU that no gap shows: with k calls in a visit, c − g = b + a·k gives the CPU of callee and caller for
// each message (least squares over all operations). What client spans last longer than the server spans below them,
// less that CPU, is two messages' way.
//
// # Messages
//
// Bytes received and sent are Σ messages × sizes, for each service and second; sizes ≥ 0 by least squares.
package twin
