// Package steps keeps data sets of tail.Step in files, one for each run, of which models are trained: see docs/formats/sinan.md.
//
// A file is a header and then records of equal length, each with a checksum. What a crash left of the last record is
// dropped when the file is read or gone on with.
package steps

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"foresail.dev/model/tail"
)

// Ext is how the names of files end.
const Ext = ".steps"

// Header says what a file's steps are of.
type Header struct {
	Schema     tail.Schema   `json:"schema"`
	Objectives []string      `json:"objectives"`       // by EndpointID, like "p99 < 500ms"; empty where there is none
	Cluster    string        `json:"cluster"`          // where it ran: "sim", "testbed"
	Manager    string        `json:"manager"`          // who decided: "explore"
	Load       string        `json:"load"`             // its name
	Level      float64       `json:"level,omitempty"`  // of a load that stayed: users, or requests/s
	Warmup     time.Duration `json:"warmup,omitempty"` // what came before the first step and is not in the file
	Seed       uint64        `json:"seed"`
	// Settings of the manager that are not its defaults, by name.
	Settings map[string]float64 `json:"settings,omitempty"`
	Commit   string             `json:"commit,omitempty"` // of the program; empty where that is not known
}

// The parts of a file.
const (
	magic     = "foresail steps 1\n"
	maxHeader = 1 << 20 // bytes of JSON
	maxNames  = 1 << 16 // services, and endpoints
	perStep   = 1 + len(tail.Percentiles)
	perEnd    = 2
	perSvc    = 7
)

var (
	order = binary.LittleEndian
	table = crc32.MakeTable(crc32.Castagnoli)
)

// layout is how a record of an application lies in a file: when the second ended, the numbers, and a checksum.
type layout struct{ services, endpoints int }

func (h *Header) layout() layout { return layout{len(h.Schema.Services), len(h.Schema.Endpoints)} }

func (l layout) size() int { return 8 + 4*(perStep+perEnd*l.endpoints+perSvc*l.services) + 4 }

// numbers are a step's in the order of a record.
func numbers(s *tail.Step, each func(v *float64)) {
	each(&s.Rate)
	for i := range s.Latency {
		each(&s.Latency[i])
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		each(&e.Requests)
		each(&e.Late)
	}
	for i := range s.Services {
		v := &s.Services[i]
		for _, x := range [perSvc]*float64{&v.Replicas, &v.Cores, &v.Used, &v.Memory, &v.InFlight, &v.Arrivals, &v.Wait} {
			each(x)
		}
	}
}
