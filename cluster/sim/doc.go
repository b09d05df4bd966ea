// Package sim is a simulated application: a foresail.Cluster that needs nothing installed and runs as fast as the
// processor allows. It is deterministic: the same Config gives the same snapshots, byte for byte. It has no goroutine
// and no clock; randomness comes from Config.Seed alone.
//
// # The model
//
// A request arrives at a replica of the service: of two that are ready, drawn at random, at the one with fewer requests
// in flight. It gets a worker, or waits in the bounded accept queue, or is refused at once. With its worker it goes
// through its operation's steps: CPU, then disk, then the calls of the step, in parallel. It keeps the worker while it
// waits for calls, so that a slow service fills those that call it.
//
// CPU is processor sharing under a CFS quota. Each runnable thread runs at full speed, up to the cores of a node, until
// the replica has used up its limit × 100 ms; then all of them wait until the next period. k busy threads use up the
// quota of half a core in 50/k ms. A replica with no more threads than its limit has cores is never throttled. The
// periods of different replicas are not in step. When the limit changes, up or down, the running period's quota begins
// anew at the new limit, and waiting threads go on at once: Linux does so at each write of a quota (tg_set_cfs_bandwidth).
// Without nodes each replica has its machine's cores for itself.
//
// Throttled is the time during which a replica had runnable threads and no quota: time on the clock, at most the beat
// for each replica, so that a share can be made of it. Linux's throttled_time adds up the waits of a group's run queues,
// one for each CPU that had its threads, and may be several times as much for the same waiting.
//
// A disk serves one request at a time for each replica, in the order of arrival; on nodes, for all replicas of one. Memory is the base of each replica and
// what its operations in progress hold; nothing fails for want of it.
//
// A call takes a connection of the replica's pool to that service and gives it back with the answer; with none free it
// waits. The network takes no time. A call fails when it is refused, when no replica is ready, when its operation
// failed, or when its caller's patience, counted from the moment it asks for a connection, is over. The caller then
// closes the connection and goes on; the callee goes on working for nobody, but a request that has not left the accept
// queue is dropped when its turn comes. Retries wait Backoff, doubled each time and multiplied by a number drawn between
// a half and one and a half. When the last attempt of a call has failed, its step still waits for its other calls, and
// then the operation fails; asynchronous calls fail without consequence. Repeated calls stop at the first failure. A
// cache miss is work of the caller once the answer has come. A call nested deeper than MaxDepth fails.
//
// # Nodes
//
// With Config.Nodes replicas are placed on machines and share them; package node has the formulas for that, and where they
// come from, and package host how they are put into effect. Cores are divided when there are more runnable threads than
// cores, and the contention of cache and memory is reckoned each 10 ms, for a node as a whole: neither is exact to the
// event. Limits are quotas as ever; a replica requests its allocation's CPU and memory, and one that fits nowhere is
// pending, to be tried again when there is room. A limit that is raised later is written at once, whether the node has as
// much or not.
//
// A message goes over the links of both nodes, in the order in which messages leave; to another replica of the same node,
// over none. It is routed when it leaves, and a replica that has gone when it comes refuses it. A refusal comes back without
// using links. A message of which packets are lost is lost as a whole and sent again after 200 ms, then 400 ms, and so on.
//
// A replica starts once its node has the image, which is pulled once and kept. A replica that holds more than nine tenths
// of its memory limit loses CPU time to reclaiming it; nothing is killed for want of memory. A node that is lost takes its
// replicas along at once, and their requests fail; they are replaced elsewhere when Config.Detection is over, and the load
// balancer knows at once, where a real one finds out as connections break.
//
// An agent tells of what it could count on a real node: see observeAgent and host.Observe. It sees what antagonists do to a
// node, and not that they are none of the application's.
//
// # Users
//
// Package users sends requests, open or closed, and knows nothing of what becomes of them. Users have the patience that the
// blueprint gives the endpoint.
//
// # Scaling
//
// Apply takes effect at once where it adds: CPU is raised, and replicas are started. These are ready after the
// service's start-up delay, and cold for its warm-up. Where it takes away it waits until as many replicas are ready as
// were asked for; then CPU falls, and the newest replicas drain: they take no new request and finish what they have,
// for DrainLimit at most, after which it fails. Replicas that have not started are cancelled first. The allocation in
// effect counts replicas that take requests; each replica that holds resources (starting, ready or draining) is listed
// in the snapshot, so their number times CPU is what is paid for. One that ended within the beat is listed once more, as
// gone.
//
// # Faults
//
// Config.Faults says what goes wrong; package fault has the kinds, and package disturb how each is put into effect.
//
// What was injected reaches Config.Truth, and nothing else: all that a snapshot shows of it is its effects.
//
// # Updates
//
// From Config.Updates on the application is another. Numbers stay (foresail.Align), lists grow, App is a new value. A
// service whose blueprint has changed gets a rolling update as a Kubernetes Deployment does by default: at most a quarter
// more replicas than asked for, rounded up, at most a quarter fewer ready, rounded down. A request is worked on as the
// version of its replica says; one for an operation that this version lacks fails. A service that has gone is drained.
//
// # What is counted
//
// A service's arrivals are all requests that reached it, refused ones included; its completions are those it answered,
// refused or dropped; its errors those that failed, were refused or dropped. An edge counts a call when its caller has
// its answer or gives it up, each attempt for itself; what was refused, failed or given up is an error. What users see
// of an endpoint is from the instant a request was meant to be sent to its answer, retries included. A request that
// found no replica ready counts in its service and in none of the replicas. A replica has started when it was asked
// for.
//
// Latency is of what did not fail, everywhere: a service, a replica, an edge and an endpoint have as many latencies as
// completions (calls, requests) without errors, whether the others were worked on or refused. That of a service, a
// replica and an edge is from arrival at the callee to its answer. So a request that its caller gave up and the callee
// answered all the same has a latency in the callee's service and none on the edge.
//
// Network is the bytes of messages alone: a request counts as sent by its caller and as received by the replica when it
// comes there, refused or not, and an answer when it comes back; users send and receive too, but nobody counts theirs. A
// refusal or a failure answers with nothing, and nothing is sent to a caller that has given up, or by one that finds no
// replica. The network of a service and of its replicas is observed where the sizes of both messages are known of every
// operation that it has and of every one that it may call; else it is absent, since a part would pass for the whole.
//
// Every snapshot is final: there are no late additions, and none is stale.
//
// # Common random numbers
//
// Every purpose has its own random stream, and what a request needs is derived from its number and its place in the
// call tree. So with an open load and the same seed the same requests arrive at the same instants, make the same calls
// and need the same CPU, whatever a manager does: two managers can be compared request by request. What a cold replica
// needs more is not part of that, and neither are the attempts that a timeout or a refusal brings about.
//
// # How it is made
//
// This package is the life of requests, replicas and services. What it is made of lies in rooms around it, which know
// nothing of it, and of each other no more than what they are made of:
//
//   - des keeps the events; at one instant the earlier scheduled comes first. users and disturb have kinds of their own
//     among them and handle those.
//   - chance draws. program lays a blueprint out flat. slab keeps records by number.
//   - cfs is the CPU of a replica, node the formulas of sharing a machine, host a machine that replicas share.
//   - users sends requests. disturb makes faults happen: by the interface disturb.Simulation, of which nothing is asked while
//     no fault goes on; while one does, replicas that it hits are odd, and pay for it alone.
//   - tally counts over a beat, and trace keeps the spans of sampled requests.
//
// Two more look at the whole from outside: theory compares it with queueing theory, and twin fits an application to what was
// observed of a real one.
//
// A request in a replica is a visit, an RPC with all its attempts is a call, and a sequence of steps in progress is a frame;
// all live in slabs and name each other by number, so that nothing is allocated once the slabs have grown. A replica has one
// event at most: when its next thread is done, or its next quota period begins. All calls with the same timeout share one
// event. Latencies are written down as they come and sorted by replica, edge and endpoint when the beat ends. Snapshots are
// made anew each beat, of a few large pieces of memory, and belong to the caller.
//
// With many replicas an event costs what it has to fetch from memory, so what a visit needs of a replica lies in four
// cache lines. docs/results/simulator.md tells what that gains, and how the simulator compares with queueing theory
// (package theory).
package sim
