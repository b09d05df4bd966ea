package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/adapting"
	"foresail.dev/cmd/foresail/agents"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/ingesters"
	"foresail.dev/cmd/foresail/outlets"
	"foresail.dev/cmd/foresail/promout"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/cmd/foresail/shaping"
	"foresail.dev/cmd/foresail/tracing"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
	"foresail.dev/telemetry/store/seal"
)

// runConfig is foresail.yaml; see docs/formats/run.md.
type runConfig struct {
	Application string                `yaml:"application" rule:"required"` // a file, relative to this one, or the name of a built-in application
	Load        string                `yaml:"load" rule:"required"`        // a load file, relative to this one
	Cluster     string                `yaml:"cluster" rule:"oneof=sim|testbed"`
	Mode        loop.Mode             `yaml:"mode"`
	Manager     managerName           `yaml:"manager"`
	Guard       guardConfig           `yaml:"guard"`
	Listen      string                `yaml:"listen"` // of the page
	OTLP        otlpConfig            `yaml:"otlp"`
	Readers     []readerConfig        `yaml:"readers"` // servers that are asked for what is in flight in them
	Seed        uint64                `yaml:"seed"`
	Duration    time.Duration         `yaml:"duration" rule:"min=0"` // 0: until stopped
	Speed       float64               `yaml:"speed" rule:"above=0,max=1000"`
	Nodes       appfile.Nodes         `yaml:"nodes"` // of a simulated cluster
	Metrics     promout.Metrics       `yaml:"metrics"`
	RemoteWrite []promout.RemoteWrite `yaml:"remote_write"`
	Traces      tracing.Config        `yaml:"traces"` // exemplar traces that are kept
	Shapes      shaping.Config        `yaml:"shapes"` // call graphs that requests take
	State       string                `yaml:"state"`  // where the manager's state is kept; empty: it is not kept

	Remote    promout.RemoteHistory `yaml:"remote_history"`
	History   history.Config        `yaml:"history"`
	Model     string                `yaml:"model"`   // a file that the manager decides with, relative to this one
	Foresee   *trained.Foresee      `yaml:"foresee"` // whether violations that are foreseen are met
	Adapt     *adapting.Config      `yaml:"adapt"`   // whether the model is fine-tuned while the run goes on
	Models    string                `yaml:"models"`  // where foresail train has put models; empty: there are none
	ModelsKey string                `yaml:"models_key_file"`
	Agents    agents.Config         `yaml:"agents"`    // of a testbed: where node agents report
	Ingesters ingesters.Config      `yaml:"ingesters"` // of a testbed: where ingesters report what they count of spans
	Security  security.Config       `yaml:"security"`
	Telemetry telemetryConfig       `yaml:"telemetry"`
	Testbed   testbedConfig         `yaml:"testbed"`
	Outlets   []outlets.Config      `yaml:"outlets"` // who is told of violations that are foreseen
}

type guardConfig struct {
	Enabled  bool        `yaml:"enabled"`
	Baseline managerName `yaml:"baseline"`
}

type otlpConfig struct {
	GRPC string `yaml:"grpc"`
	HTTP string `yaml:"http"`
	// InFlight: replicas of a testbed report their requests in flight as they begin, over HTTP.
	InFlight bool `yaml:"in_flight"`
	// Shards share the traces among them, each on a core of its own; 0: there is one.
	Shards int `yaml:"shards" rule:"min=0,max=64"`
	// Memory that what is kept of spans may take, over all shards; 0: what docs/formats/run.md says.
	Memory appfile.Bytes `yaml:"memory" rule:"max=1TiB"`
}

// managerName is the name of a manager that there is.
type managerName string

// UnmarshalText refuses a name that no manager has.
func (m *managerName) UnmarshalText(b []byte) error {
	if !slices.Contains(managers.Names(), string(b)) {
		return fmt.Errorf("unknown manager %q: use %s", b, strings.Join(managers.Names(), ", "))
	}
	*m = managerName(b)
	return nil
}

func readRunConfig(path string) (runConfig, error) {
	c := runConfig{Cluster: "sim", Mode: loop.Auto, Manager: "hpa", Guard: guardConfig{Enabled: true, Baseline: "hpa"},
		OTLP: otlpConfig{GRPC: "127.0.0.1:4317", HTTP: "127.0.0.1:4318"}, Seed: 1, Speed: 1, Metrics: promout.DefaultMetrics(), History: history.Default(), Remote: promout.DefaultRemote(), Traces: tracing.Default, Shapes: shaping.Default}
	if err := appfile.ReadFile(path, &c); err != nil {
		return c, cli.Usage(err)
	}
	if c.Cluster == "testbed" && c.Speed != 1 {
		return c, cli.Usagef("%s: speed: real processes run at the speed of time; leave it out, or use cluster: sim", path)
	}
	if c.Cluster == "testbed" && len(c.Nodes.Nodes) > 0 {
		return c, cli.Usagef("%s: nodes: real processes run on this machine; leave them out, or use cluster: sim", path)
	}
	if err := c.observed(path); err != nil {
		return c, err
	}
	if c.Cluster != "testbed" && c.Agents.Listen != "" {
		return c, cli.Usagef("%s: agents: a simulated cluster has no nodes that an agent could run on; leave it out, or use cluster: testbed", path)
	}
	if c.Cluster != "testbed" && c.Ingesters.Listen != "" {
		return c, cli.Usagef("%s: ingesters: a simulated cluster sends no spans that they could take in; leave it out, or use cluster: testbed", path)
	}
	if c.OTLP.InFlight && (c.Cluster != "testbed" || c.OTLP.HTTP == "") {
		return c, cli.Usagef("%s: otlp.in_flight: replicas of a testbed report over HTTP: use cluster: testbed and set otlp.http, or leave it out", path)
	}
	if len(c.Readers) > 0 && c.Cluster != "testbed" {
		return c, cli.Usagef("%s: readers: a simulated application has no servers to ask: use cluster: testbed, or leave them out", path)
	}
	if err := checkReaders(path, c.Readers); err != nil {
		return c, cli.Usage(err)
	}
	dir := filepath.Dir(path)
	if err := promout.Check(path, dir, c.RemoteWrite, &c.Remote); err != nil {
		return c, cli.Usage(err)
	}
	if err := outlets.Check(path, dir, c.Outlets); err != nil {
		return c, cli.Usage(err)
	}
	if c.Model != "" {
		if !managers.UsesModel(string(c.Manager)) {
			return c, cli.Usagef("%s: model: manager %s uses none: name manager sinan, or leave this out", path, c.Manager)
		}
		c.Model = cli.Relative(dir, c.Model)
	}
	if err := c.checkAdapt(path); err != nil {
		return c, err
	}
	c.Adapt.In(dir)
	c.Foresee.In(dir)
	if err := trained.Place(&c.Models, string(c.Manager), dir); err != nil {
		return c, cli.Usagef("%s: models: %w", path, err)
	}
	for i := range c.Readers {
		if f := &c.Readers[i].PasswordFile; *f != "" {
			*f = cli.Relative(dir, *f)
		}
	}
	c.Load = cli.Relative(dir, c.Load)
	c.History.In(dir)
	if c.Traces.Dir != "" {
		if c.Telemetry.Prometheus != nil {
			return c, cli.Usagef("%s: traces: Prometheus gives no spans: leave it out, or leave telemetry.prometheus out", path)
		}
		c.Traces.In(dir)
	}
	for _, k := range []*string{&c.Traces.KeyFile, &c.ModelsKey} {
		if *k != "" && !strings.HasPrefix(*k, seal.EnvPrefix) {
			*k = cli.Relative(dir, *k)
		}
	}
	c.Security = c.Security.Relative(dir)
	if strings.ContainsAny(c.Application, "/.") {
		c.Application = cli.Relative(dir, c.Application)
	}
	return c, nil
}
