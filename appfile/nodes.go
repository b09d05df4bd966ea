package appfile

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"foresail.dev"
	"go.yaml.in/yaml/v3"
)

// Nodes is what a nodes file holds, for embedding in another file that Decode reads: there its name may be left out. Its
// zero value is no nodes: every replica has a machine for itself. docs/formats/nodes.md describes it.
type Nodes struct {
	Name      string
	Nodes     []foresail.Node
	Placement foresail.Placement
	// Within and Between are how long a message takes to another replica of the same node and to another node, beside the
	// time of its bytes.
	Within, Between time.Duration
	Detection       time.Duration // until replicas of a lost node are replaced; 0: as the simulator has it
}

// ReadNodes reads a file of nodes. What is wrong in it comes as Faults; a file that can't be read, as another error.
func ReadNodes(path string) (*Nodes, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("nodes file: %w", err)
	}
	return ParseNodes(path, data)
}

// ParseNodes reads such a file's content; name is the file's name in faults. The error is nil or Faults.
func ParseNodes(name string, data []byte) (*Nodes, error) {
	c := newCollector(name)
	n := &Nodes{}
	at, ok := decodeInto(c, data, reflect.ValueOf(n).Elem())
	if ok && at.node.Kind == yaml.MappingNode && !hasKey(at.node, "nodes") {
		at.At("nodes").Faultf("is missing")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return n, nil
}

type nodesFile struct {
	Name      string             `yaml:"nodes"`
	Note      string             `yaml:"note"`
	Placement foresail.Placement `yaml:"placement"`
	Within    time.Duration      `yaml:"within" rule:"max=1m"`
	Between   time.Duration      `yaml:"between" rule:"max=1m"`
	Detection time.Duration      `yaml:"detection" rule:"above=0s,max=1h"`
	Machines  []machine          `yaml:"machines" rule:"required"`
}

// machine is a node, or so many alike.
type machine struct {
	Name            string `yaml:"name" rule:"required"`
	Count           *int   `yaml:"count" rule:"min=1,max=100000"`
	Cores           int    `yaml:"cores" rule:"min=1,max=100000"`
	Memory          Bytes  `yaml:"memory" rule:"min=1MiB"`
	Cache           Bytes  `yaml:"cache" rule:"min=1KiB,max=1TiB"`
	MemoryBandwidth Bytes  `yaml:"memory_bandwidth" rule:"min=1MB"`
	Network         Bytes  `yaml:"network" rule:"min=1kB"`
	Disk            Bytes  `yaml:"disk" rule:"min=1kB"`
	Disks           int    `yaml:"disks" rule:"min=1,max=10000"`
	Counters        bool   `yaml:"counters"`
	Note            string `yaml:"note"`
}

// maxNodes is how many nodes a file may hold.
const maxNodes = 100_000

func (n *Nodes) read(at Place) {
	var f nodesFile
	decodeStruct(at, reflect.ValueOf(&f).Elem())
	if f.Name != "" {
		checkName(at.At("nodes"), "a set of nodes'", f.Name)
	}
	*n = Nodes{Name: f.Name, Placement: f.Placement, Within: f.Within, Between: f.Between, Detection: f.Detection}
	first := map[string]int{}
	for i := range f.Machines {
		m, at := &f.Machines[i], at.At("machines", i)
		if m.Name != "" && !serviceName.MatchString(m.Name) {
			at.At("name").Faultf("%q is not a node's name: up to 63 of a-z, 0-9 and -, not at the ends", m.Name)
			continue
		}
		if m.Count != nil && len(n.Nodes)+*m.Count > maxNodes {
			at.Faultf("makes more than %d nodes", maxNodes)
			return
		}
		for _, name := range m.names() {
			if j, there := first[name]; there && name != "" {
				at.Faultf("makes a node %s, as machines[%d] does", name, j)
				break
			}
			first[name] = i
			n.Nodes = append(n.Nodes, m.node(name))
		}
	}
}

// names are name-0, name-1 and so on where there is a count, and the name alone where there is none.
func (m *machine) names() []string {
	if m.Count == nil {
		return []string{m.Name}
	}
	out := make([]string, max(*m.Count, 0))
	for i := range out {
		out[i] = m.Name + "-" + strconv.Itoa(i)
	}
	return out
}

func (m *machine) node(name string) foresail.Node {
	return foresail.Node{Name: name, Cores: m.Cores, Memory: int64(m.Memory), Cache: int64(m.Cache), MemoryBandwidth: float64(m.MemoryBandwidth),
		Network: float64(m.Network), Disk: float64(m.Disk), Disks: m.Disks, Counters: m.Counters}
}
