package appfile

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
)

func TestANodesFileIsRead(t *testing.T) {
	n, err := ParseNodes("n.yaml", []byte(`
nodes: rack
placement: bin-pack
within: 20us
between: 100us
detection: 5s
machines:
  - {name: a, count: 2, cores: 8, memory: 16GiB}
  - {name: b, cores: 4, cache: 8MiB, memory_bandwidth: 20GB, network: 125MB, disk: 200MB, disks: 2, counters: true, note: old}
  - {name: c}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Nodes{Name: "rack", Placement: foresail.BinPack, Within: 20 * time.Microsecond, Between: 100 * time.Microsecond, Detection: 5 * time.Second,
		Nodes: []foresail.Node{{Name: "a-0", Cores: 8, Memory: 16 << 30}, {Name: "a-1", Cores: 8, Memory: 16 << 30},
			{Name: "b", Cores: 4, Cache: 8 << 20, MemoryBandwidth: 20e9, Network: 125e6, Disk: 200e6, Disks: 2, Counters: true}, {Name: "c"}}}
	if !reflect.DeepEqual(n, want) {
		t.Errorf("got %+v\nwant %+v", n, want)
	}
}

// Another file may hold nodes in a section, whose faults have the section's path, and its own faults are told with them.
func TestNodesAsASection(t *testing.T) {
	var into struct {
		Seed  int   `yaml:"seed"`
		Nodes Nodes `yaml:"nodes"`
	}
	if err := Decode("x.yaml", []byte("seed: 3\nnodes:\n  machines: [{name: a, count: 3}]\n"), &into); err != nil || len(into.Nodes.Nodes) != 3 {
		t.Errorf("%v, %+v", err, into)
	}
	err := Decode("x.yaml", []byte("seed: x\nnodes:\n  machine: []\n"), &into)
	const want = `x.yaml:1:7: seed: "x" is not a whole number
x.yaml:2:1: nodes.machines: is missing
x.yaml:3:3: nodes.machine: is not a known field; did you mean "machines"?`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestFaultsOfNodes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"machines: [{name: a}]", "n.yaml:1:1: nodes: is missing"},
		{"nodes: x\nmachines: []", "n.yaml:2:1: machines: must not be empty"},
		{"nodes: x\nmachines: [{name: A}]", `n.yaml:2:19: machines[0].name: "A" is not a node's name: up to 63 of a-z, 0-9 and -, not at the ends`},
		{"nodes: x\nmachines: [{cores: 1}]", "n.yaml:2:12: machines[0].name: is missing"},
		{"nodes: x\nmachines: [{name: a, count: 100000}, {name: b, count: 1}]", "n.yaml:2:38: machines[1]: makes more than 100000 nodes"},
		{"nodes: x\nmachines: [{name: a}, {name: a}]", "n.yaml:2:23: machines[1]: makes a node a, as machines[0] does"},
		{"nodes: x\nmachines: [{name: a}]\ndetection: 0s", "n.yaml:3:12: detection: is 0s, must be above 0s"},
	} {
		if _, err := ParseNodes("n.yaml", []byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%s:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
	if _, err := ReadNodes("nowhere.yaml"); err == nil || !strings.HasPrefix(err.Error(), "nodes file: ") {
		t.Error(err)
	}
}

// Whatever is read is nodes that the simulator takes: each is one, under a name of its own.
func FuzzParseNodes(f *testing.F) {
	f.Add([]byte("nodes: rack\nmachines: [{name: a, count: 2, cores: 8, memory: 16GiB}, {name: b, disk: 10MB}]\n"))
	f.Add([]byte("nodes: {}\nmachines: [1, {count: x}]\nplacement: pack\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := ParseNodes("n.yaml", data)
		if err != nil {
			if len(err.Error()) == 0 {
				t.Fatal("an error says nothing")
			}
			return
		}
		names := map[string]bool{}
		for i := range n.Nodes {
			if err := n.Nodes[i].Check(); err != nil || names[n.Nodes[i].Name] {
				t.Fatalf("%v: %+v", err, n.Nodes[i])
			}
			names[n.Nodes[i].Name] = true
		}
		if len(n.Nodes) == 0 {
			t.Fatal("no nodes")
		}
	})
}
