// Package web serves what Foresail sees and does: a small HTTP API, and a page for people that lives on it.
//
//	GET  /               the page
//	GET  /api/v1/app     the application: services with bounds, endpoints with objectives
//	GET  /api/v1/state   the whole current state: an update with everything kept (ten minutes, 200 decisions)
//	GET  /api/v1/stream  server-sent events: one "state" event, then an "update" at most once a second
//	GET  /api/v1/insights?since=48h what in the design invites violations, over that time; without since over all that is kept
//	GET  /api/v1/callgraphs the call graphs that requests took in the last two hours, their shares, and who makes the tail
//	POST /api/v1/load    changes the load; only where there are Controls (the demo)
//	GET  /api/v1/healthz ok, stale (telemetry is silent) or waiting (no snapshot yet), always 200
//	GET  /api/v1/session who asks, and what they may do
//	POST /api/v1/login   takes {"token": "..."} and sets a cookie, so that a browser can show the page; logout ends it
//
// Every update carries a number that only grows, and what changed since the one before it, so a client that reconnects
// starts over from a whole state. What was not observed is absent, never zero. Rates,
// latencies and CPU are over the last five seconds (Recent) unless a name says otherwise; instants are milliseconds
// since 1970 (*_at, t), latencies milliseconds (*_ms), CPU cores, memory bytes.
//
// The feed is called from the loop's goroutine and only takes a mutex that is never held during I/O: no client can
// slow the loop. There is no queue for each client. A client's own goroutine asks for what is new since its last
// update; one that doesn't take an update within five seconds is dropped.
//
// With Config.Tokens, what shows something of the application needs a token with role read, and what changes it one with
// role write; the page's own files, healthz and the login are open. The server answers on a loopback address unless it has
// TLS and tokens or Config.AllowRemote says otherwise, and only to requests whose Host is an IP address, localhost, a
// name in Config.Hosts or the one that the client's TLS connection is for, so that no web site can reach it by rebinding its own name.
package web
