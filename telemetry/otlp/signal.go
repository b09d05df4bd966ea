package otlp

import (
	"fmt"

	"foresail.dev/telemetry"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// signal is one of the kinds of telemetry that OTLP carries: where it arrives, what is done with it and what is answered.
type signal struct {
	name     string
	path     string // over HTTP
	service  string // over gRPC
	proto    string
	take     func([]byte) (telemetry.Result, error) // the bytes are not used after it returns
	fromJSON func([]byte) ([]byte, error)           // makes them of a JSON request
	answer   func(telemetry.Result) answer
}

// answer is an Export…ServiceResponse.
type answer struct {
	all      bool // everything was taken
	response interface {
		MarshalProto() ([]byte, error)
		MarshalJSON() ([]byte, error)
	}
}

// proto encodes the answer: as nothing when everything was taken.
func (a answer) proto() []byte {
	if a.all {
		return nil
	}
	return must(a.response.MarshalProto())
}

func (a answer) json() []byte {
	if a.all {
		return []byte("{}")
	}
	return must(a.response.MarshalJSON())
}

// must is for pdata, which marshals into memory and gives no error.
func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// signals are those that the sink takes.
func (r *Receiver) signals() []*signal {
	const collector = "opentelemetry.proto.collector."
	all := []*signal{{name: "traces", path: path, service: collector + "trace.v1.TraceService",
		proto: "opentelemetry/proto/collector/trace/v1/trace_service.proto", take: r.take, fromJSON: protoOf, answer: answerTraces}}
	if sink, ok := r.sink.(MetricSink); ok {
		all = append(all, &signal{name: "metrics", path: "/v1/metrics", service: collector + "metrics.v1.MetricsService",
			proto: "opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
			take:  func(b []byte) (telemetry.Result, error) { return r.takeMetrics(sink, b) }, fromJSON: metricsOf, answer: answerMetrics})
	}
	return all
}

func answerTraces(res telemetry.Result) answer {
	if res.Rejected == 0 {
		return answer{all: true}
	}
	out := ptraceotlp.NewExportResponse()
	out.PartialSuccess().SetRejectedSpans(int64(res.Rejected))
	out.PartialSuccess().SetErrorMessage(fmt.Sprintf("%d spans were not taken, most of them %s", res.Rejected, res.Reason))
	return answer{response: out}
}

func answerMetrics(res telemetry.Result) answer {
	if res.Rejected == 0 {
		return answer{all: true}
	}
	out := pmetricotlp.NewExportResponse()
	out.PartialSuccess().SetRejectedDataPoints(int64(res.Rejected))
	out.PartialSuccess().SetErrorMessage(fmt.Sprintf("%d data points were not taken: they are of %s", res.Rejected, res.Reason))
	return answer{response: out}
}
