package appfile

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"foresail.dev"
	"foresail.dev/apps"
	"go.yaml.in/yaml/v3"
)

// ReadApp reads an application file, or the built-in application of that bare name ("hotel-reservation"). What is
// wrong in the file comes as Faults; a file that can't be read, as an error that names the built-in ones.
func ReadApp(path string) (*foresail.Blueprint, error) {
	if path == filepath.Base(path) && filepath.Ext(path) == "" {
		if data, err := apps.Files.ReadFile(path + ".yaml"); err == nil {
			return ParseApp(path+".yaml", data)
		}
	}
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("application file: %w; give a file, or one of %s", err, strings.Join(BuiltIn(), ", "))
	}
	return ParseApp(path, data)
}

// BuiltIn lists the names of the built-in applications.
func BuiltIn() []string {
	files, _ := fs.Glob(apps.Files, "*.yaml") // the pattern is well formed
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	slices.Sort(files)
	return files
}

// ParseApp reads an application file's content; name is the file's name in faults. A blueprint that comes back keeps
// the invariants of foresail.App and foresail.Blueprint. The error is nil or Faults.
func ParseApp(name string, data []byte) (*foresail.Blueprint, error) {
	c := newCollector(name)
	var f appFile
	at, ok := decodeInto(c, data, reflect.ValueOf(&f).Elem())
	if !ok {
		return nil, c.err()
	}
	b := build(&f, at)
	if err := c.err(); err != nil {
		return nil, err
	}
	return b, nil
}

// DefaultCV is the coefficient of variation of a demand given as a plain duration.
const DefaultCV = 0.5

// The following types are the file, field by field; docs/formats/app.md says what each means.

type appFile struct {
	Application string                `yaml:"application" rule:"required"`
	Sources     []string              `yaml:"sources"`
	Assumed     assumed               `yaml:"assumed"`
	Note        string                `yaml:"note"`
	Defaults    traits                `yaml:"defaults"`
	Kinds       OrderedMap[kind]      `yaml:"kinds"`
	Services    OrderedMap[service]   `yaml:"services" rule:"required"`
	Endpoints   OrderedMap[endpoint]  `yaml:"endpoints" rule:"required"`
	Objectives  OrderedMap[objective] `yaml:"objectives"`
	Cycles      [][]string            `yaml:"cycles"`
	Overheads   overheads             `yaml:"overheads"`
}

// traits are what a service, its kind and the file's defaults may each give: the first that has one decides.
type traits struct {
	Initial    allocation     `yaml:"initial"`
	Bounds     bounds         `yaml:"bounds"`
	Workers    *int           `yaml:"workers" rule:"min=0,max=1000000"`
	Queue      *int           `yaml:"queue" rule:"min=0,max=1000000"`
	Pool       *int           `yaml:"pool" rule:"min=0,max=1000000"`
	Startup    *time.Duration `yaml:"startup" rule:"max=1h"`
	Warmup     *time.Duration `yaml:"warmup" rule:"max=1h"`
	ColdFactor *float64       `yaml:"cold_factor" rule:"min=1,max=100"`
	BaseMemory *Bytes         `yaml:"base_memory" rule:"max=16TiB"`
	Pull       *time.Duration `yaml:"pull" rule:"max=1h"`
	Interfere  interference   `yaml:"interference"`
	patience
	messages
	Assumed assumed `yaml:"assumed"`
	Note    string  `yaml:"note"`
}

// interference is how a service gets on with its neighbours on a node.
type interference struct {
	Cache                *Bytes   `yaml:"cache" rule:"max=1TiB"`
	Bandwidth            *Bytes   `yaml:"bandwidth" rule:"max=1TB"`
	CacheSensitivity     *float64 `yaml:"cache_sensitivity" rule:"min=0,max=100"`
	BandwidthSensitivity *float64 `yaml:"bandwidth_sensitivity" rule:"min=0,max=100"`
}

// messages are the mean sizes of what asks for an operation and of its answer.
type messages struct {
	Request  *Bytes `yaml:"request" rule:"min=1B,max=64MiB"`
	Response *Bytes `yaml:"response" rule:"min=1B,max=64MiB"`
}

type patience struct {
	Timeout *time.Duration `yaml:"timeout" rule:"max=1h"`
	Retries *int           `yaml:"retries" rule:"min=0,max=100"`
	Backoff *time.Duration `yaml:"backoff" rule:"max=1h"`
}

type kind struct {
	traits
	Operations OrderedMap[operation] `yaml:"operations"`
}

type service struct {
	Kind string `yaml:"kind"`
	traits
	Operations OrderedMap[operation] `yaml:"operations"`
}

type allocation struct {
	Replicas *int               `yaml:"replicas" rule:"min=1,max=100000"`
	CPU      *float64           `yaml:"cpu" rule:"min=0.01,max=1024"`
	Memory   *Bytes             `yaml:"memory" rule:"min=1MiB,max=16TiB"`
	Settings map[string]float64 `yaml:"settings"`
}

type bounds struct {
	Replicas *interval[int]               `yaml:"replicas"`
	CPU      *interval[float64]           `yaml:"cpu"`
	Memory   *interval[Bytes]             `yaml:"memory"`
	Settings map[string]interval[float64] `yaml:"settings"`
}

// Check holds the ends to what an allocation may be.
func (b *bounds) Check(at Place) {
	if r := b.Replicas; r != nil && r.ok && (r.Min < 1 || r.Max > 100_000) {
		at.At("replicas").Faultf("is %d..%d, must lie within 1..100000", r.Min, r.Max)
	}
	if r := b.CPU; r != nil && r.ok && (r.Min < 0.01 || r.Max > 1024) {
		at.At("cpu").Faultf("is %g..%g, must lie within 0.01..1024 cores", r.Min, r.Max)
	}
	if r := b.Memory; r != nil && r.ok && (r.Min < 1<<20 || r.Max > 16<<40) {
		at.At("memory").Faultf("is %d..%d bytes, must lie within 1MiB..16TiB", r.Min, r.Max)
	}
}

// operation is {steps: [...]}, or one step without the list, or the CPU time of its only step.
type operation struct {
	Steps   []step
	single  bool // written without a list
	Assumed assumed
	messages
}

func (o *operation) read(at Place) {
	var long struct {
		Steps []step `yaml:"steps" rule:"required"`
		messages
		Assumed assumed `yaml:"assumed"`
		Note    string  `yaml:"note"`
	}
	var short struct {
		step
		messages
		Assumed assumed `yaml:"assumed"`
		Note    string  `yaml:"note"`
	}
	switch {
	case at.node.Kind == yaml.ScalarNode:
		var s step
		s.CPU.read(at)
		o.Steps, o.single = []step{s}, true
	case at.node.Kind == yaml.MappingNode && !hasKey(at.node, "steps"):
		decodeStruct(at, reflect.ValueOf(&short).Elem())
		short.step.Check(at)
		o.Steps, o.single, o.Assumed, o.messages = []step{short.step}, true, short.Assumed, short.messages
	default:
		decode(at, reflect.ValueOf(&long).Elem(), nil)
		o.Steps, o.Assumed, o.messages = long.Steps, long.Assumed, long.messages
	}
}

type step struct {
	CPU    dist   `yaml:"cpu"`
	IO     dist   `yaml:"io"`
	Memory Bytes  `yaml:"memory" rule:"max=1TiB"`
	Read   Bytes  `yaml:"read" rule:"max=1TiB"`
	Write  Bytes  `yaml:"write" rule:"max=1TiB"`
	Calls  []call `yaml:"calls"`
}

// read takes a step, or the text "service.operation" for a step that only makes that call.
func (s *step) read(at Place) {
	if at.node.Kind == yaml.ScalarNode {
		s.Calls = []call{{To: at.node.Value, Probability: 1, Repeat: 1}}
		return
	}
	type plainStep step
	decodeStruct(at, reflect.ValueOf((*plainStep)(s)).Elem())
}

// Check refuses a step that does nothing, and bytes that no disk time moves.
func (s *step) Check(at Place) {
	keys := len(at.node.Content) / 2
	for _, k := range []string{"assumed", "note", "request", "response"} {
		if hasKey(at.node, k) {
			keys--
		}
	}
	if at.node.Kind == yaml.MappingNode && keys == 0 {
		at.Faultf("does nothing; give it cpu, io, memory or calls")
	}
	if s.IO.Mean == 0 && !hasKey(at.node, "io") {
		for name, bytes := range map[string]Bytes{"read": s.Read, "write": s.Write} {
			if bytes > 0 {
				at.At(name).Faultf("needs io, the time that the disk takes for it")
			}
		}
	}
}

type call struct {
	To          string `yaml:"to" rule:"required"`
	Probability Share  `yaml:"probability"`
	Repeat      int    `yaml:"repeat" rule:"min=1,max=10000"`
	Async       bool   `yaml:"async"`
	patience
	Hit  *Share `yaml:"hit"`
	Miss []step `yaml:"miss"`
}

func (c *call) read(at Place) {
	c.Probability, c.Repeat = 1, 1
	if at.node.Kind == yaml.ScalarNode {
		c.To = at.node.Value
		return
	}
	type plainCall call
	decodeStruct(at, reflect.ValueOf((*plainCall)(c)).Elem())
	hit, miss := hasKey(at.node, "hit"), hasKey(at.node, "miss")
	switch {
	case hit && !miss:
		at.At("hit").Faultf("needs miss, the steps that follow when the answer is not there")
	case miss && !hit:
		at.At("miss").Faultf("needs hit, the probability that the answer is there")
	case hit && c.Async:
		at.At("hit").Faultf("makes no sense for an asynchronous call, which nobody waits for")
	}
}

// dist is a mean, or {mean, cv, shape}.
type dist struct {
	Mean  time.Duration `yaml:"mean" rule:"required,max=1h"`
	CV    *float64      `yaml:"cv" rule:"min=0,max=20"`
	Shape string        `yaml:"shape" rule:"oneof=lognormal|exponential|constant"`
}

func (d *dist) read(at Place) {
	d.Shape = foresail.LogNormal.String()
	if at.node.Kind == yaml.ScalarNode {
		decode(at, reflect.ValueOf(&d.Mean).Elem(), []rule{{"max", "1h"}})
		return
	}
	type plainDist dist
	decodeStruct(at, reflect.ValueOf((*plainDist)(d)).Elem())
	switch {
	case d.CV == nil:
	case d.Shape == "constant" && *d.CV != 0:
		at.At("cv").Faultf("is %g, but a constant does not vary", *d.CV)
	case d.Shape == "exponential" && *d.CV != 1:
		at.At("cv").Faultf("is %g, but an exponential's is 1", *d.CV)
	}
}

// value is the domain's form; a lognormal that does not vary is a constant.
func (d dist) value() foresail.Dist {
	out := foresail.Dist{Shape: foresail.LogNormal, Mean: d.Mean.Seconds(), CV: DefaultCV}
	if d.CV != nil {
		out.CV = *d.CV
	}
	switch {
	case d.Mean == 0:
		return foresail.Dist{}
	case d.Shape == "constant" || d.Shape == "lognormal" && out.CV == 0:
		out.Shape, out.CV = foresail.Constant, 0
	case d.Shape == "exponential":
		out.Shape, out.CV = foresail.Exponential, 1
	}
	return out
}

type endpoint struct {
	Entry string `yaml:"entry" rule:"required"`
	patience
	Assumed assumed `yaml:"assumed"`
	Note    string  `yaml:"note"`
}

// objective is "p99 < 200ms", or {percentile, latency, window, min_requests}.
type objective struct {
	Percentile  float64        `yaml:"percentile" rule:"required,above=0,max=99.999"`
	Latency     time.Duration  `yaml:"latency" rule:"required,above=0s,max=1h"`
	Window      *time.Duration `yaml:"window" rule:"min=100ms,max=24h"`
	MinRequests *int           `yaml:"min_requests" rule:"min=1,max=1000000000"`
	Assumed     assumed        `yaml:"assumed"`
	Note        string         `yaml:"note"`
}

var shortObjective = regexp.MustCompile(`^p([0-9.]+) *< *(\S+)$`)

func (o *objective) read(at Place) {
	type plainObjective objective
	if at.node.Kind != yaml.ScalarNode {
		decodeStruct(at, reflect.ValueOf((*plainObjective)(o)).Elem())
		if o.Window != nil && *o.Window%(100*time.Millisecond) != 0 {
			at.At("window").Faultf("is %s, must be a whole number of 100ms beats", *o.Window)
		}
		return
	}
	m := shortObjective.FindStringSubmatch(at.node.Value)
	if m == nil {
		at.Faultf(`is %s, must read like "p99 < 200ms" or be a mapping`, kindName(at.node))
		return
	}
	part := func(key, text string) []*yaml.Node {
		return []*yaml.Node{{Kind: yaml.ScalarNode, Value: key, Line: at.node.Line, Column: at.node.Column},
			{Kind: yaml.ScalarNode, Value: text, Line: at.node.Line, Column: at.node.Column}}
	}
	long := &yaml.Node{Kind: yaml.MappingNode, Line: at.node.Line, Column: at.node.Column,
		Content: slices.Concat(part("percentile", m[1]), part("latency", m[2]))}
	decodeStruct(Place{at.c, long, at.path, nil}, reflect.ValueOf((*plainObjective)(o)).Elem())
}

// assumed marks what no source says: true for all of a mapping, or the names of some of its fields.
type assumed struct {
	All    bool
	Fields []string
}

func (a *assumed) read(at Place) {
	if at.node.Kind == yaml.SequenceNode {
		decode(at, reflect.ValueOf(&a.Fields).Elem(), nil)
		return
	}
	if at.node.Kind != yaml.ScalarNode || at.node.ShortTag() != "!!bool" {
		at.Faultf("is %s, must be true or a list of field names", kindName(at.node))
		return
	}
	decode(at, reflect.ValueOf(&a.All).Elem(), nil)
}

func (a assumed) checkNames(at Place, known []string) {
	for i, name := range a.Fields {
		if !slices.Contains(known, name) {
			at.At(i).Faultf("%q is not a field here%s", name, didYouMean(name, known))
		}
	}
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// Names: a service's becomes a host, a cgroup and a Kubernetes object; an operation's, a span's name.
var serviceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func checkServiceName(at Place, name string) {
	if !serviceName.MatchString(name) {
		at.Faultf("%q is not a service's name: up to 63 of a-z, 0-9 and -, not at the ends", name)
	}
}

func checkName(at Place, what, name string) {
	bad := func(r rune) bool { return !unicode.IsPrint(r) }
	if len(name) > 128 || strings.TrimSpace(name) == "" || strings.TrimSpace(name) != name || strings.ContainsFunc(name, bad) {
		at.Faultf("%q is not %s name: up to 128 printable characters, no space at the ends", name, what)
	}
}
