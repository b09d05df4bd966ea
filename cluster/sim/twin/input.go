package twin

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"foresail.dev"
)

// Input is what was observed of a run, and what is known without looking inside: names, bounds, limits.
type Input struct {
	App *foresail.App
	// Limits are what an operator sets and so knows: Workers, Queue, Pool, start-up and the like. By ServiceID; may be
	// short. Operations are not read.
	Limits []foresail.ServiceBlueprint
	// Patience is what each service bears of its calls, by ServiceID; may be short: for ever.
	Patience []foresail.Patience
	// Timeouts is what users bear, by EndpointID; may be short: for ever.
	Timeouts  []foresail.Patience
	Spans     []foresail.Span
	Snapshots []*foresail.Snapshot // in order of time; CPU, and where there is one, network and throttling are read
	Users     string               // the service name of spans that users report; empty: none
}

// MinVisits is the least number of visits that an operation is fitted from.
const MinVisits = 30

// Report says how well the fit is founded.
type Report struct {
	Operations []OperationReport
	Skipped    int // spans that belong to no visit: of users, internal ones, those whose times are impossible
	Unclean    int // visits that failed, or whose calls did, or of which spans are missing: not used for structure
}

// OperationReport is one operation's.
type OperationReport struct {
	Service, Operation string
	Visits             int     // that structure and gaps are from
	CPU, Own           float64 // seconds: of CPU for each visit, of time that no call covers
	Shapes             int     // different sets of calls seen
}

// ErrNothing is wrapped when there is too little to fit from.
var ErrNothing = errors.New("nothing to fit from")

// validate names every fault at once.
func (in *Input) validate() error {
	if in.App == nil || len(in.App.Services) == 0 || len(in.App.Endpoints) == 0 {
		return errors.New("twin: no application is given: its services and endpoints are needed")
	}
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("twin: "+format, args...))
		}
	}
	fault(len(in.Spans) == 0, "%w: there are no spans", ErrNothing)
	fault(len(in.Snapshots) == 0, "%w: there are no snapshots", ErrNothing)
	cpu := false
	for i, s := range in.Snapshots {
		fault(len(s.Services) > len(in.App.Services), "snapshot %d has %d services, the application %d", i, len(s.Services), len(in.App.Services))
		fault(!s.End.After(s.Start), "snapshot %d ends before it begins", i)
		fault(i > 0 && s.Start.Before(in.Snapshots[i-1].Start), "snapshot %d is older than the one before it", i)
		for k := range s.Services {
			cpu = cpu || s.Services[k].Has.Has(foresail.SignalCPU)
		}
		if len(errs) > 10 {
			break
		}
	}
	fault(len(in.Snapshots) > 0 && !cpu, "%w: no snapshot tells of CPU", ErrNothing)
	return errors.Join(append(errs, in.strangers())...)
}

// strangers are services that report spans and are not the application's.
func (in *Input) strangers() error {
	unknown := map[string]int{}
	for i := range in.Spans {
		s := &in.Spans[i]
		if _, ok := in.App.ServiceByName(s.Service); !ok && s.Service != in.Users {
			unknown[s.Service]++
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	var names []string
	for i, n := range slices.Sorted(maps.Keys(unknown)) {
		if i == 5 {
			names = append(names, fmt.Sprintf("and %d more", len(unknown)-i))
			break
		}
		names = append(names, fmt.Sprintf("%q (%d spans)", n, unknown[n]))
	}
	return fmt.Errorf("twin: spans are of services that the application does not have: %s; add them to the application file, or leave their spans out",
		strings.Join(names, ", "))
}
