package zipkin

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

// span is one element; what is not named here is not read.
type span struct {
	TraceID   string            `json:"traceId"`
	ID        string            `json:"id"`
	ParentID  string            `json:"parentId,omitempty"`
	Kind      string            `json:"kind,omitempty"`
	Name      string            `json:"name,omitempty"`
	Timestamp int64             `json:"timestamp,omitempty"` // µs since 1970
	Duration  int64             `json:"duration,omitempty"`  // µs
	Local     *endpoint         `json:"localEndpoint,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
	Shared    bool              `json:"shared,omitempty"`
}

type endpoint struct {
	Service string `json:"serviceName,omitempty"`
	IPv4    string `json:"ipv4,omitempty"`
	IPv6    string `json:"ipv6,omitempty"`
}

// read is a span with what is known of it until its trace is whole.
type read struct {
	foresail.Span
	shared bool
}

var replicaTags = []string{"service.instance.id", "k8s.pod.name", "host.name", "hostname"}

func (s *span) convert() (read, error) {
	out := read{shared: s.Shared}
	if err := source.Hex(out.Trace[:], s.TraceID); err != nil {
		return out, fmt.Errorf("traceId: %w", err)
	}
	if err := source.Hex(out.ID[:], s.ID); err != nil {
		return out, fmt.Errorf("id: %w", err)
	}
	if s.ParentID != "" {
		if err := source.Hex(out.Parent[:], s.ParentID); err != nil {
			return out, fmt.Errorf("parentId: %w", err)
		}
	}
	if out.Parent == out.ID {
		out.Parent = foresail.SpanID{} // some tracers name a root as its own parent
	}
	if s.Local == nil || s.Local.Service == "" {
		return out, errors.New("localEndpoint.serviceName: it is missing")
	}
	var err error
	if out.Start, out.End, err = source.Micros(s.Timestamp, s.Duration); err != nil {
		return out, err
	}
	out.Service, out.Operation, out.Kind = s.Local.Service, s.Name, kindOf(s.Kind)
	out.Replica = s.Local.IPv4
	if out.Replica == "" {
		out.Replica = s.Local.IPv6
	}
	for _, key := range replicaTags {
		if v := s.Tags[key]; v != "" {
			out.Replica = v
			break
		}
	}
	failed, has := s.Tags["error"]
	out.Failed = has && failed != "false"
	return out, nil
}

// decode reads one element.
func decode(b []byte) (read, error) {
	var s span
	if err := json.Unmarshal(b, &s); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			err = fmt.Errorf("%s: a %s stands where a %s should", wrong.Field, wrong.Value, wrong.Type)
		}
		return read{}, err
	}
	return s.convert()
}

var kinds = map[string]foresail.SpanKind{"SERVER": foresail.KindServer, "CLIENT": foresail.KindClient,
	"PRODUCER": foresail.KindProducer, "CONSUMER": foresail.KindConsumer}

func kindOf(s string) foresail.SpanKind { return kinds[strings.ToUpper(s)] }

// split gives shared spans ids of their own, and their children the right parent: of a parent id that two spans have, the
// server's where the child is of its service.
func split(spans []read) []foresail.Span {
	type key struct {
		id      foresail.SpanID
		service string
	}
	servers := map[key]foresail.SpanID{}
	clients := map[foresail.SpanID]bool{}
	for i := range spans {
		if !spans[i].shared {
			clients[spans[i].ID] = true
		}
	}
	out := make([]foresail.Span, len(spans))
	for i := range spans {
		s := &spans[i]
		if s.shared && clients[s.ID] { // else the client reported nothing, and the id is the server's alone
			own := serverID(s.ID, s.Service)
			servers[key{s.ID, s.Service}] = own
			s.Parent, s.ID = s.ID, own
		}
		out[i] = s.Span
	}
	if len(servers) == 0 {
		return out
	}
	for i := range out {
		s := &out[i]
		if own, ok := servers[key{s.Parent, s.Service}]; ok && own != s.ID {
			s.Parent = own
		}
	}
	return out
}

// serverID is the id of the server's part of a shared span.
func serverID(id foresail.SpanID, service string) (own foresail.SpanID) {
	h := fnv.New64a()
	h.Write(id[:])
	io.WriteString(h, service)
	h.Sum(own[:0])
	return own
}

// Encode writes spans as one list. Times are in microseconds, so what is finer is lost; so is a span's weight.
func Encode(spans []foresail.Span) ([]byte, error) {
	list := make([]span, len(spans))
	for i := range spans {
		s := &spans[i]
		d := &list[i]
		*d = span{TraceID: hex.EncodeToString(s.Trace[:]), ID: hex.EncodeToString(s.ID[:]), Name: s.Operation,
			Timestamp: s.Start.UnixMicro(), Duration: s.End.UnixMicro() - s.Start.UnixMicro(), Local: &endpoint{Service: s.Service}}
		if s.Parent != (foresail.SpanID{}) {
			d.ParentID = hex.EncodeToString(s.Parent[:])
		}
		for name, k := range kinds {
			if k == s.Kind {
				d.Kind = name
			}
		}
		if s.Replica != "" || s.Failed {
			d.Tags = map[string]string{}
		}
		if s.Replica != "" {
			d.Tags["service.instance.id"] = s.Replica
		}
		if s.Failed {
			d.Tags["error"] = "true"
		}
	}
	return json.Marshal(list)
}
