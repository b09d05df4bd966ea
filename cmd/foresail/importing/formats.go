// Package importing is what foresail import does: which formats there are, and where what they hold goes.
package importing

import (
	"io"
	"strings"
	"time"

	"foresail.dev/telemetry/alibaba"
	"foresail.dev/telemetry/jaeger"
	"foresail.dev/telemetry/nezha"
	"foresail.dev/telemetry/otlp"
	"foresail.dev/telemetry/petshop"
	"foresail.dev/telemetry/source"
	"foresail.dev/telemetry/zipkin"
)

// Format is one kind of outside data.
type Format struct {
	Name, Short, Long, Example string
	What                       string        // what its files are, for an error
	Interval                   time.Duration // of snapshots made of spans, unless Options say otherwise; 0: there are none
	Shares                     bool          // Options.Alibaba means something

	services bool // too many replicas to tell them apart in a history

	match func(name string) bool // of the files in a folder
	// start gives what reads one file, and what is called after the last.
	start func(c *source.Collector, o *Options) (file func(io.Reader) error, finish func() error)
}

// Formats are all that can be imported, in the order in which help lists them.
func Formats() []Format {
	return []Format{
		{Name: "jaeger", What: "traces", Interval: time.Second, match: named(".json"),
			Short:   "Reads traces as Jaeger exports them, and prints services, calls and latencies",
			Long:    "Reads traces in the JSON that Jaeger's page and API export, and prints the services, the calls between them, and the\nendpoints, with latencies.",
			Example: "  foresail import jaeger traces.json.gz --json",
			start:   spanReader(func(r io.Reader, c *source.Collector) (source.Stats, error) { return jaeger.Read(r, c.AddSpans) })},
		{Name: "otlp", What: "traces", Interval: time.Second, match: named(".json"),
			Short:   "Reads traces as the OpenTelemetry Collector's file exporter writes them",
			Long:    "Reads traces in OTLP's JSON, one message a line, as the OpenTelemetry Collector's file exporter and this program write\nthem (--spans, exemplar traces). Lines that can't be read are left out and told.",
			Example: "  foresail import otlp spans.jsonl --history history --traces traces",
			start: spanReader(func(r io.Reader, c *source.Collector) (source.Stats, error) {
				return otlp.ReadLines(r, c.Faults(), c.AddSpans)
			})},
		{Name: "zipkin", What: "traces", Interval: time.Second, match: named(".json"),
			Short:   "Reads traces in Zipkin's JSON, version 2",
			Long:    "Reads traces in Zipkin's JSON, version 2: a list of spans, a list of traces, or one of either or one span on each line.",
			Example: "  foresail import zipkin traces.json --json",
			start: spanReader(func(r io.Reader, c *source.Collector) (source.Stats, error) {
				return zipkin.Read(r, c.Faults(), c.AddSpans)
			})},
		{Name: "nezha", What: "spans or metrics", Interval: time.Second, match: named(".csv"),
			Short:   "Reads the data set published with Nezha: spans, and metrics of pods",
			Long:    "Reads the data set published with Nezha: tables of spans, and of metrics each minute. Which a file is, its header says.\nInto a history go spans or metrics, since both count the same requests: name the files of one of them.",
			Example: "  foresail import nezha 2022-08-22/metric --history history",
			start: func(c *source.Collector, _ *Options) (func(io.Reader) error, func() error) {
				r := nezha.NewReader(c)
				return r.File, r.Finish
			}},
		{Name: "petshop", What: "metrics", match: named(".csv"),
			Short:   "Reads the PetShop data set of root causes: metrics each five minutes, and who calls whom",
			Long:    "Reads the PetShop data set of root causes: metrics.csv, metrics each five minutes, and graph.csv, who calls whom.",
			Example: "  foresail import petshop dataset/low_traffic --json",
			start: func(c *source.Collector, _ *Options) (func(io.Reader) error, func() error) {
				r := petshop.NewReader(c)
				return r.File, r.Finish
			}},
		{Name: "alibaba", What: "traces", Interval: time.Minute, match: named(".csv", ".tar"), Shares: true, services: true,
			Short: "Reads Alibaba's microservice traces, v2021 and v2022",
			Long: `Reads tables of Alibaba's cluster-trace-microservices v2021 and v2022: call graphs, the use of containers and nodes, rates and
response times. Which table a file is, its header says. Utilisation is in the data as a share and v2022's rates are scaled to
0..1: flags say of what, and without them cores, bytes and rates are absent. Into a history go call graphs or the other tables,
since both count the same requests.`,
			Example: "  foresail import alibaba MSResource_0.tar.gz MSRTQps_0.tar.gz --container-cores 4 --history history",
			start: func(c *source.Collector, o *Options) (func(io.Reader) error, func() error) {
				r := alibaba.NewReader(c, o.Alibaba)
				return r.File, r.Finish
			}},
	}
}

// named tells whether a file's name holds one of some endings, before that of its compression.
func named(endings ...string) func(string) bool {
	return func(name string) bool {
		for _, e := range endings {
			if strings.Contains(name[strings.LastIndexByte(name, '/')+1:], e) {
				return true
			}
		}
		return false
	}
}

// spanReader is the start of a format whose files hold spans.
func spanReader(read func(io.Reader, *source.Collector) (source.Stats, error)) func(*source.Collector, *Options) (func(io.Reader) error, func() error) {
	return func(c *source.Collector, _ *Options) (func(io.Reader) error, func() error) {
		file := func(r io.Reader) error {
			stats, err := read(r, c)
			c.Inferred(stats.Inferred)
			return err
		}
		return file, func() error { return nil }
	}
}
