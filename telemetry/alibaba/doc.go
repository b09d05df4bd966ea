// Package alibaba reads Alibaba's microservice traces, cluster-trace-microservices v2021 and v2022 (alibaba/clusterdata):
// call graphs, the use of containers and nodes, and rates and response times. Which table a CSV file is, its header says;
// columns may stand in any order.
//
//	MSCallGraph        timestamp, traceid, rpcid, um, rpctype, dm, interface, rt                    v2021
//	                   … rpc_id, service, uminstanceid, dminstanceid besides                        v2022
//	MSResource         timestamp, msname, msinstanceid, nodeid, cpu_utilization, memory_utilization
//	MSRTQps            timestamp, msname, msinstanceid, metrics, value                              v2021
//	MSRTMCR            timestamp, msname, msinstanceid, nodeid, providerrpc_rt, providerrpc_mcr, …  v2022
//	Node               timestamp, nodeid, cpu_utilization, memory_utilization
//
// Times are milliseconds since the start of the data, whose date is not told: Options.Epoch says when that was.
//
// # Call graphs
//
// A row is a call of a service dm by a service um, in one trace; its rpcid is the path to it: 0.1.2 is a call that the dm of
// 0.1 made. Calls over the network are in the data twice with one rpcid, with rt > 0 as the caller saw it and rt < 0 as the
// callee did. The two make a client span and a server span; a call that only one side tells of makes both, with what that
// side saw. Rows of one trace may be apart by no more than half a million others. What is known to be amiss in the data:
//
//   - One rpcid may belong to several calls. A callee's row goes with the first free caller's row whose names don't
//     contradict it; what is over is a call of its own.
//   - Both sides' rt may be negative. Then the longer one is the caller's, which also waits for the network.
//   - rt is 0 below a millisecond, on either side.
//   - Names may be missing: empty, (?), NAN, UNKNOWN, UNAVAILABLE. They are taken from the other side's row, or else from the
//     calls above and below; a call whose callee stays unknown is left out and counted.
//   - The caller of a trace's first call is a proxy or a user, not a service that was observed: that call is a request of
//     an endpoint, which is named by the online service (v2022) or else the interface.
//
// Failures are not told. A message's rt is the time from fetching it to having finished it.
//
// # Tables
//
// Use is given as a share of what a container or a node has, and v2022 gives all values scaled to 0..1, rates among them.
// How much a container has is not in the data. So cores, bytes and rates are in snapshots only where Options say what a
// share is a share of; else those signals are absent. Of response times only means are given: they are in the summary, and
// not in snapshots. Requests of a service are those over RPC as the provider, over HTTP, and messages it consumed.
package alibaba
