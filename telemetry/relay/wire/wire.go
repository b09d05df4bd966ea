// Package wire is what an ingester sends to the daemon that makes snapshots, and how it is written.
//
// One bidirectional gRPC stream, method /foresail.ingest.v1.Ingest/Report. The ingester sends a Hello, and gets a Welcome
// with the application; then it sends Parts, numbered, and gets an Ack for each. Everything is protobuf
// (docs/formats/ingest.md has the schema), written and read by hand, as telemetry/agent/wire is, whose codec it shares:
// unknown fields are skipped, every length and number is bounded.
//
// A part holds what was counted since the one before, never since a start, and names what it counts. So it means something
// by itself, and parts add in any order.
package wire

import (
	"foresail.dev/telemetry"
)

// Version is of this schema; a daemon refuses others.
const Version = 1

// Method is the stream's name.
const (
	Service = "foresail.ingest.v1.Ingest"
	Stream  = "Report"
	Method  = "/" + Service + "/" + Stream
)

// Bounds of what is read.
const (
	MaxFrame   = 4 << 20      // bytes
	MaxNames   = 65_536       // in one part
	MaxItems   = 65_536       // replicas, endpoints, pairs and reports of one part
	MaxCells   = 65_536       // in one part
	MaxCount   = 1 << 52      // of requests, and of what is in flight in 1/65,536
	maxTime    = 4102444800e9 // 2100-01-01: instants lie before it
	maxBeats   = maxTime / 1e6
	maxApp     = 65_536 // services, or endpoints, of an application
	maxBuckets = 1024   // of a sketch: it has 801
)

// frameSize is what a frame is kept under where one replica's cells allow it.
const frameSize = 256 << 10

// Hello opens a stream.
type Hello struct {
	Version  uint32
	Name     string // of the ingester
	Instance uint64 // drawn when it started: its parts are numbered within it
}

// Welcome answers a hello.
type Welcome struct {
	Instance uint64 // drawn when the daemon started
	Seq      uint64 // of this instance of the ingester it has every part up to here
	Beat     int64  // nanoseconds
	App      App
	Clock    Clock
}

// App is of an application what an ingester has to know.
type App struct {
	Generation      uint64
	EndpointService string // see telemetry.Options
	Name            string
	Services        []string
	Endpoints       []Endpoint
}

// Endpoint is an endpoint of an application.
type Endpoint struct {
	Name      string
	Entry     uint32
	Operation string
	Objective bool // there is one, of this latency
	Latency   int64
}

// Clock says when the daemon read a message: At by its own clock, Sent as the message said.
type Clock struct{ At, Sent int64 }

// Part is a telemetry.Part, or a piece of one, on its way.
type Part struct {
	Seq     uint64 // grows by one for each part of an instance
	More    bool   // the next part belongs to the same instant: Until counts from the last piece on
	Lost    uint64 // requests in parts that the ingester gave up since it started
	Unsure  uint64 // requests in parts that it did not send again to a daemon that had begun anew
	Offset  int64  // nanoseconds that the ingester adds to its own clock
	Within  int64  // nanoseconds by which that may be wrong
	Bye     bool   // it ends: nothing follows
	Stats   *telemetry.Stats
	Content telemetry.Part
}

// Frame is one message of an ingester: exactly one of its pointers is set.
type Frame struct {
	Sent  int64 // nanoseconds, by the ingester's own clock
	Hello *Hello
	Part  *Part
}

// Answer is one message of the daemon: a welcome, or else an acknowledgement.
type Answer struct {
	Welcome    *Welcome
	Seq        uint64 // every part up to it is there
	Generation uint64 // of the application
	Clock      Clock
}

// Field numbers of the schema.
const (
	frameSent, frameHello, framePart                                                         = 1, 2, 3
	helloVersion, helloName, helloInstance                                                   = 1, 2, 3
	answerWelcome, answerSeq, answerGeneration, answerAt, answerSent                         = 1, 2, 3, 4, 5
	welcomeInstance, welcomeSeq, welcomeBeat, welcomeApp                                     = 1, 2, 3, 4
	appGeneration, appEndpointService, appName, appService, appEndpoint                      = 1, 2, 3, 4, 5
	endpointName, endpointEntry, endpointOperation, endpointObjective, endpointLatency       = 1, 2, 3, 4, 5
	partSeq, partMore, partLost, partUnsure, partOffset, partWithin, partUntil, partDropped  = 1, 2, 3, 4, 5, 6, 7, 8
	partName, partUnit, partEndpoint, partEdge, partReport, partStats, partBye               = 9, 10, 11, 12, 13, 14, 15
	unitService, unitReplica, unitNewest, unitSeen, unitSpans, unitCell                      = 1, 2, 3, 4, 5, 6
	cellBeat, cellArrivals, cellCompletions, cellErrors, cellBusy, cellSteps, cellOpen       = 1, 2, 3, 4, 5, 6, 7
	cellLate, cellFirstLate, cellTrace, cellLatency, cellSum, cellZero, cellFirst, cellWhole = 8, 9, 10, 11, 12, 13, 14, 15
	cellCounts                                                                               = 16
	itemFrom, itemTo, itemCell                                                               = 1, 2, 3
	reportReceived, reportService, reportReplica, reportStart, reportEnd, reportHas          = 1, 2, 3, 4, 5, 6
	reportSince, reportValues                                                                = 7, 8
)
