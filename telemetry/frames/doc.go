// Package frames is what agents and ingesters have in common: one stream to the daemon, over gRPC, of messages in protobuf's
// encoding that are read and written by hand (docs/decisions/agent.md says why). Here are its two ends, with all that bounds
// them, and the reading of fields; what is said is up to the packages wire of either.
package frames
