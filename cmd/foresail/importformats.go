package main

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/telemetry/alibaba"
	"foresail.dev/telemetry/jaeger"
	"foresail.dev/telemetry/nezha"
	"foresail.dev/telemetry/otlp"
	"foresail.dev/telemetry/petshop"
	"foresail.dev/telemetry/source"
	"foresail.dev/telemetry/zipkin"
)

// importFormats are all that can be imported, in the order in which help lists them.
func importFormats() []importFormat {
	return []importFormat{
		{name: "jaeger", what: "traces", interval: time.Second, match: named(".json"),
			short:   "Reads traces as Jaeger exports them, and prints services, calls and latencies",
			long:    "Reads traces in the JSON that Jaeger's page and API export, and prints the services, the calls between them, and the\nendpoints, with latencies.",
			example: "  foresail import jaeger traces.json.gz --json",
			start:   spanReader(func(r io.Reader, c *source.Collector) (source.Stats, error) { return jaeger.Read(r, c.AddSpans) })},
		{name: "otlp", what: "traces", interval: time.Second, match: named(".json"),
			short:   "Reads traces as the OpenTelemetry Collector's file exporter writes them",
			long:    "Reads traces in OTLP's JSON, one message a line, as the OpenTelemetry Collector's file exporter and this program write\nthem (--spans, exemplar traces). Lines that can't be read are left out and told.",
			example: "  foresail import otlp spans.jsonl --history history --traces traces",
			start: spanReader(func(r io.Reader, c *source.Collector) (source.Stats, error) {
				return otlp.ReadLines(r, c.Faults(), c.AddSpans)
			})},
		{name: "zipkin", what: "traces", interval: time.Second, match: named(".json"),
			short:   "Reads traces in Zipkin's JSON, version 2",
			long:    "Reads traces in Zipkin's JSON, version 2: a list of spans, a list of traces, or one of either or one span on each line.",
			example: "  foresail import zipkin traces.json --json",
			start: spanReader(func(r io.Reader, c *source.Collector) (source.Stats, error) {
				return zipkin.Read(r, c.Faults(), c.AddSpans)
			})},
		{name: "nezha", what: "spans or metrics", interval: time.Second, match: named(".csv"),
			short:   "Reads the data set published with Nezha: spans, and metrics of pods",
			long:    "Reads the data set published with Nezha: tables of spans, and of metrics each minute. Which a file is, its header says.\nInto a history go spans or metrics, since both count the same requests: name the files of one of them.",
			example: "  foresail import nezha 2022-08-22/metric --history history",
			start: func(c *source.Collector, _ *importer) (func(string, io.Reader) error, func() error) {
				r := nezha.NewReader(c)
				return unnamed(r.File), r.Finish
			}},
		{name: "petshop", what: "metrics", match: named(".csv"),
			short:   "Reads the PetShop data set of root causes: metrics each five minutes, and who calls whom",
			long:    "Reads the PetShop data set of root causes: metrics.csv, metrics each five minutes, and graph.csv, who calls whom.",
			example: "  foresail import petshop dataset/low_traffic --json",
			start: func(c *source.Collector, _ *importer) (func(string, io.Reader) error, func() error) {
				r := petshop.NewReader(c)
				return unnamed(r.File), r.Finish
			}},
		{name: "alibaba", what: "traces", interval: time.Minute, match: named(".csv", ".tar"), flags: alibabaFlagsOf,
			short: "Reads Alibaba's microservice traces, v2021 and v2022",
			long: `Reads tables of Alibaba's cluster-trace-microservices v2021 and v2022: call graphs, the use of containers and nodes, rates and
response times. Which table a file is, its header says. Utilisation is in the data as a share and v2022's rates are scaled to
0..1: flags say of what, and without them cores, bytes and rates are absent. Into a history go call graphs or the other tables,
since both count the same requests.`,
			example: "  foresail import alibaba MSResource_0.tar.gz MSRTQps_0.tar.gz --container-cores 4 --history history",
			start: func(c *source.Collector, in *importer) (func(string, io.Reader) error, func() error) {
				r := alibaba.NewReader(c, in.alibaba.options())
				return unnamed(r.File), r.Finish
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

func unnamed(file func(io.Reader) error) func(string, io.Reader) error {
	return func(_ string, r io.Reader) error { return file(r) }
}

// spanReader is the start of a format whose files hold spans.
func spanReader(read func(io.Reader, *source.Collector) (source.Stats, error)) func(*source.Collector, *importer) (func(string, io.Reader) error, func() error) {
	return func(c *source.Collector, _ *importer) (func(string, io.Reader) error, func() error) {
		file := func(_ string, r io.Reader) error {
			stats, err := read(r, c)
			c.Inferred(stats.Inferred)
			return err
		}
		return file, func() error { return nil }
	}
}

// alibabaFlags say what Alibaba's data does not.
type alibabaFlags struct {
	epoch                                                  string
	containerCores, containerGiB, nodeCores, nodeGiB, rate float64
}

func alibabaFlagsOf(c *cobra.Command, in *importer) {
	fl, a := c.Flags(), &in.alibaba
	fl.StringVar(&a.epoch, "epoch", alibaba.DefaultEpoch.Format(time.RFC3339), "when timestamp 0 was: the data gives no date")
	fl.Float64Var(&a.containerCores, "container-cores", 0, "cores that a container's utilisation is a share of; 0: not known")
	fl.Float64Var(&a.containerGiB, "container-gib", 0, "memory that a container's utilisation is a share of, in GiB; 0: not known")
	fl.Float64Var(&a.nodeCores, "node-cores", 0, "cores that a node's utilisation is a share of; 0: not known")
	fl.Float64Var(&a.nodeGiB, "node-gib", 0, "memory that a node's utilisation is a share of, in GiB; 0: not known")
	fl.Float64Var(&a.rate, "call-rate", 0, "calls per second that a rate of 1 stands for in v2022; 0: not known")
	c.PreRunE = func(*cobra.Command, []string) error {
		if t, err := time.Parse(time.RFC3339, a.epoch); err != nil || t.Year() < 1971 || t.Year() > 2200 {
			return usagef("--epoch %q: give a time such as 2022-01-01T00:00:00Z", a.epoch)
		}
		for _, v := range []float64{a.containerCores, a.containerGiB, a.nodeCores, a.nodeGiB, a.rate} {
			if !(v >= 0 && v <= 1e9) {
				return usagef("%g: give sizes and rates from 0 to 1e9", v)
			}
		}
		return nil
	}
}

func (a *alibabaFlags) options() alibaba.Options {
	epoch, _ := time.Parse(time.RFC3339, a.epoch) // checked before the command ran
	const gib = 1 << 30
	return alibaba.Options{Epoch: epoch.UTC(), ContainerCores: a.containerCores, ContainerMemory: a.containerGiB * gib,
		NodeCores: a.nodeCores, NodeMemory: a.nodeGiB * gib, CallRate: a.rate}
}
