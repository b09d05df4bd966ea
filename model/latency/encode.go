package latency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"foresail.dev/ml"
	"foresail.dev/model/latency/learner"
)

// Kinds of model files of this package.
const (
	AssignmentKind = "latency/assignment"
	GraphKind      = "latency/graph"
)

const (
	payloadVersion = 1
	mostUnpacked   = 1 << 30
	maxNodes       = 1 << 14
	maxEdges       = 1 << 22
)

type savedAssignment struct {
	Service  string       `json:"service"`
	Metric   string       `json:"metric"`
	Own      []string     `json:"own,omitempty"`
	External []string     `json:"external,omitempty"`
	Models   []savedModel `json:"models"`
}

type savedModel struct {
	Period  string    `json:"period,omitempty"`
	Source  string    `json:"source,omitempty"`
	Release string    `json:"release,omitempty"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Error   float64   `json:"error,omitempty"`
	Inputs  []int     `json:"inputs"`
	Weight  float64   `json:"weight"`
	Model   []byte    `json:"model"` // as learner.Model writes it
}

type savedNode struct {
	Assignment savedAssignment  `json:"assignment"`
	Merge      *savedAssignment `json:"merge,omitempty"`
	Factor     float64          `json:"factor,omitempty"`
}

type savedGraph struct {
	Nodes     []savedNode    `json:"nodes"`
	Instances map[string]int `json:"instances"`
	Links     [][2]string    `json:"links,omitempty"` // callee, caller
}

func (a *Assignment) save() (savedAssignment, error) {
	s := savedAssignment{a.service, a.metric, a.own, a.external, []savedModel{}}
	for _, m := range a.models {
		b, err := m.learned.MarshalBinary()
		if err != nil {
			return s, err
		}
		s.Models = append(s.Models, savedModel{m.Trained.Period, m.Trained.Source, m.Trained.Release, m.Trained.From, m.Trained.To, m.Trained.Error, append([]int{}, m.Inputs...), m.Weight, b})
	}
	return s, nil
}

func (s *savedAssignment) restore() (*Assignment, error) {
	a, err := NewAssignment(s.Service, s.Metric, s.Own, s.External)
	if err != nil {
		return nil, err
	}
	if len(s.Models) > maxModels {
		return nil, fmt.Errorf("the assignment of %s has %d models, at most %d can be", a.Output(), len(s.Models), maxModels)
	}
	inputs := len(a.own) + len(a.external)
	all := 0.0
	for i, m := range s.Models {
		h := hosted{Trained: Trained{Period: m.Period, Source: m.Source, Release: m.Release, From: m.From.UTC(), To: m.To.UTC(), Error: m.Error}, Inputs: m.Inputs, Weight: m.Weight, learned: &learner.Model{}}
		if err := h.learned.UnmarshalBinary(m.Model); err != nil {
			return nil, fmt.Errorf("model %d of %s: %w", i+1, a.Output(), err)
		}
		h.Trained.Rows = h.learned.Rows()
		if h.learned.Inputs() != len(m.Inputs) || !(m.Weight >= 0 && m.Weight <= 1) {
			return nil, fmt.Errorf("model %d of %s has %d inputs and is given %d, with the weight %v", i+1, a.Output(), h.learned.Inputs(), len(m.Inputs), m.Weight)
		}
		for _, at := range m.Inputs {
			if at < 0 || at >= inputs {
				return nil, fmt.Errorf("model %d of %s looks at input %d of %d", i+1, a.Output(), at, inputs)
			}
		}
		all += m.Weight
		a.models = append(a.models, h)
	}
	if len(a.models) > 0 && !(all > 0) {
		return nil, fmt.Errorf("the models of %s weigh nothing", a.Output())
	}
	return a, nil
}

// MarshalBinary writes the assignment in the format that UnmarshalBinary reads.
func (a *Assignment) MarshalBinary() ([]byte, error) {
	s, err := a.save()
	return pack(s, err)
}

// UnmarshalBinary reads what MarshalBinary wrote. A is unchanged if an error is returned, which says what is wrong.
func (a *Assignment) UnmarshalBinary(data []byte) error {
	var s savedAssignment
	if err := unpack("learning assignment", data, &s); err != nil {
		return err
	}
	read, err := s.restore()
	if err == nil {
		*a = *read
	}
	return err
}

// MarshalBinary writes the graph, with all of its assignments, in the format that UnmarshalBinary reads.
func (g *Graph) MarshalBinary() ([]byte, error) {
	s := savedGraph{Nodes: []savedNode{}, Instances: g.instances}
	for _, n := range g.nodes {
		a, err := n.a.save()
		if err != nil {
			return nil, err
		}
		one := savedNode{Assignment: a, Factor: n.factor}
		if n.merge != nil {
			m, err := n.merge.save()
			if err != nil {
				return nil, err
			}
			one.Merge = &m
		}
		s.Nodes = append(s.Nodes, one)
	}
	for l := range g.links {
		s.Links = append(s.Links, [2]string{l.callee, l.caller})
	}
	slices.SortFunc(s.Links, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return pack(s, nil)
}

// UnmarshalBinary reads what MarshalBinary wrote. G is unchanged if an error is returned, which says what is wrong.
func (g *Graph) UnmarshalBinary(data []byte) error {
	var s savedGraph
	if err := unpack("inference graph", data, &s); err != nil {
		return err
	}
	if len(s.Nodes) > maxNodes || len(s.Links) > maxNodes {
		return fmt.Errorf("the graph has %d metrics and %d connections, at most %d can be", len(s.Nodes), len(s.Links), maxNodes)
	}
	out := NewGraph()
	for _, n := range s.Nodes {
		a, err := n.Assignment.restore()
		if err != nil {
			return err
		}
		if out.at[a.Output()] != nil {
			return fmt.Errorf("the graph has %s twice", a.Output())
		}
		if n.Factor != 0 && !(n.Factor > 1e-9 && n.Factor < 1e9) {
			return fmt.Errorf("the factor of %s is %v", a.Output(), n.Factor)
		}
		one := &node{a: a, factor: n.Factor}
		out.nodes, out.at[a.Output()], out.instances[a.service] = append(out.nodes, one), one, 1
		if n.Merge != nil {
			if one.merge, err = n.Merge.restore(); err != nil {
				return err
			}
		}
	}
	for service, n := range s.Instances {
		if out.instances[service] == 0 || n < 1 || n > maxInstances {
			return fmt.Errorf("the graph has %d instances of %s, which must be one of its services and have from 1 to %d", n, service, maxInstances)
		}
		out.instances[service] = n
	}
	all := 0
	for _, n := range out.nodes {
		if all += out.instances[n.a.service] * (1 + len(n.a.own) + len(n.a.external)); all > maxEdges {
			return fmt.Errorf("the graph has more than %d inputs of vertices", maxEdges)
		}
		if n.merge != nil && (len(n.merge.external) != out.instances[n.a.service] || len(n.merge.own) > 0) {
			return fmt.Errorf("what aggregates %s is of %d instances and there are %d", n.a.Output(), len(n.merge.external), out.instances[n.a.service])
		}
	}
	for _, l := range s.Links {
		if out.instances[l[0]] == 0 || out.instances[l[1]] == 0 {
			return fmt.Errorf("the graph connects %s to %s, and has not both", l[0], l[1])
		}
		out.links[link{l[0], l[1]}] = true
	}
	if cycle := out.cycle(); cycle != nil {
		return cycleError(cycle)
	}
	*g = *out
	return nil
}

func pack(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return ml.Pack(payloadVersion, b)
}

func unpack(what string, data []byte, into any) error {
	var parts [1][]byte
	if err := ml.Unpack(what, payloadVersion, data, mostUnpacked, parts[:]); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(parts[0]))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("what the %s says of itself: %w", what, err)
	}
	if d.More() {
		return errors.New("something follows the " + what)
	}
	return nil
}

// Header is what a model file says of an assignment: its inputs are the features. Trained is the caller's to complete.
func (a *Assignment) Header() ml.Header {
	return ml.Header{Kind: AssignmentKind, Features: features(append(a.Inputs(), a.Output()))}
}

// Header is what a model file says of a graph: the features are the graph's inputs for the target, and the target.
func (g *Graph) Header(target string) (ml.Header, error) {
	f, err := g.Compile(target)
	if err != nil {
		return ml.Header{}, err
	}
	return ml.Header{Kind: GraphKind, Features: features(append(slices.Clone(f.inputs), target))}, nil
}

func features(labels []string) (out []ml.Feature) {
	for _, l := range labels {
		out = append(out, ml.Feature{Name: l})
	}
	return out
}

// WriteGraph writes a model file of a graph, for an application (its hash; it may be empty) and a target.
func WriteGraph(w io.Writer, g *Graph, target, application string, trained ml.Training) error {
	h, err := g.Header(target)
	if err != nil {
		return err
	}
	h.Application, h.Trained = application, trained
	return ml.Write(w, h, g)
}

// ReadGraph reads a model file of a graph that fits what is wanted: its application, where want names one, and its inputs and
// target, where want has features (see Graph.Header). One of another graph is refused with ml.ErrUnfit, which says where they part.
func ReadGraph(r io.Reader, want ml.Header) (*Graph, ml.Header, error) {
	want.Kind = GraphKind
	g := NewGraph()
	h, err := ml.Load(r, want, g)
	if err != nil {
		return nil, h, err
	}
	return g, h, nil
}
