// Package readers asks servers that can't be instrumented for what is in flight in them: nginx (stub_status), memcached
// (stats), Redis (INFO) and PostgreSQL (pg_stat_activity). A Poller asks each beat, off whatever decides, and hands the
// answers to the assembler as reports.
//
// Every answer is bounded in size and time, and is read strictly where a number is needed: an answer that lacks what the
// server always tells is an error, and nothing is made of it.
//
// What each server tells, and what is made of it:
//
//	nginx      in flight   reading + writing, less the one that asks
//	           arrivals    requests, less those of the reader
//	memcached  in flight   response_obj_count, less the one that asks: answers that are worked on or not yet sent
//	           arrivals    the sum of the commands' counts
//	redis      in flight   blocked_clients, and the mean number that is worked on: time spent in commands over time passed
//	           queue       blocked_clients
//	           arrivals    total_commands_processed, less those of the reader
//	           errors      total_error_replies
//	postgres   in flight   backends that are active, less the one that asks
//	           queue       of those, waiting for a lock
//	           completions transactions that ended, those of the reader included; the server tells them with up to a second's delay
//
// A server that works on one thing at a time, as Redis does, holds what waits in its sockets: that is told by who looks at
// the sockets, the node agent.
package readers
