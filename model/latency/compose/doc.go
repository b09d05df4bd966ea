// Package compose builds an inference graph from a description of services and a table of observations: it names the learning
// assignments, trains them in the order in which they hang on each other, and connects them.
//
// # What an assignment is given
//
// The metrics of callees that it is trained with are those that were observed, or what the callees' assignments predict of
// them, out-of-fold (Config.Observed). When the graph predicts, it is given predictions; trained on observations alone, it
// may trust them too much. A metric that its assignment predicts hardly better than the median would (Config.Skill) is left out of
// its callers' inputs: at prediction it would tell them nothing, and in training it is noise.
//
// Load goes with the calls, latency against them. Where rates are no inputs of the graph, Config.Demand predicts the rate of a
// service from its callers' knobs and rates, and gives it to the service and to its callers as any metric.
//
// A callee shows its callers some of its knobs and states (Service.Shows): the CPU that it is allotted, above all. Its own
// latency is measured from where its handler begins. What a request waits before that, its callers see alone.
package compose
