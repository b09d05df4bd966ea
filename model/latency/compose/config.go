package compose

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"foresail.dev/model/latency"
	"foresail.dev/model/latency/learner"
)

// Rate is the name of the metric that counts a service's requests a second.
const Rate = "rps"

// Service is one service of an application, in labels of a table's columns.
type Service struct {
	Name    string
	Knobs   []string // labels of its own knobs
	States  []string // labels of what is observed of it and given to the graph: its rate, say
	Shows   []string // of those: what its callers look at too
	Calls   []string // names of services
	Metrics []string // names of its metrics that its callers may look at: "0.90"
}

// Config says what graph is built, and how. Start from Default.
type Config struct {
	Services []Service
	Target   string // label of what the graph is for: "frontend:0.90"
	Learn    learner.Config

	Skill    float64 // least share of the median's error that a metric's assignment must save, for callers to be given it
	Observed bool    // train with callees' metrics as observed, not as predicted out-of-fold
	Demand   bool    // predict rates, from callers

	// Keep is how many inputs, of other services' metrics and of what they show, the target's assignment keeps at most, as
	// latency.Assignment.SelectInputs finds them in so many rounds. What is then not looked at is in no prediction. 0: all.
	Keep, Rounds int
}

// Default is a Config without services.
func Default() Config { return Config{Learn: learner.Default(), Skill: 0.3, Demand: true} }

// order checks a config and returns the services, each after all that it calls.
func (c *Config) order() ([]*Service, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	at := map[string]*Service{}
	for i := range c.Services {
		s := &c.Services[i]
		if at[s.Name] != nil {
			fault("service %s is there twice", s.Name)
		}
		at[s.Name] = s
		for _, in := range s.Shows {
			if !slices.Contains(s.Knobs, in) && !slices.Contains(s.States, in) {
				fault("service %s shows %s, which is neither a knob nor a state of it", s.Name, in)
			}
		}
	}
	for _, s := range c.Services {
		for _, callee := range s.Calls {
			if at[callee] == nil {
				fault("service %s calls %s, which is not among the services", s.Name, callee)
			}
		}
	}
	if front, _, ok := strings.Cut(c.Target, ":"); !ok || at[front] == nil {
		fault("the target is %q: it must be a service's name, a colon and a metric", c.Target)
	}
	if c.Skill >= 1 {
		fault("skill is %v, must be below 1", c.Skill)
	}
	if c.Keep < 0 || c.Rounds < 0 {
		fault("keep is %d and rounds %d, must be at least 0", c.Keep, c.Rounds)
	}
	if err := errors.Join(append(faults, c.Learn.Check())...); err != nil {
		return nil, err
	}
	var out []*Service
	var path []string
	done := map[string]bool{}
	var walk func(name string) error
	walk = func(name string) error {
		if i := slices.Index(path, name); i >= 0 {
			return fmt.Errorf("services call each other in a cycle, %s: an inference graph has none; leave out a call", strings.Join(append(path[i:], name), " → "))
		}
		if done[name] {
			return nil
		}
		path = append(path, name)
		for _, callee := range at[name].Calls {
			if err := walk(callee); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		out = append(out, at[name])
		return nil
	}
	for _, s := range c.Services {
		if err := walk(s.Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// callers are the services that call each, by name.
func callers(services []*Service) map[string][]*Service {
	out := map[string][]*Service{}
	for _, s := range services {
		for _, callee := range s.Calls {
			out[callee] = append(out[callee], s)
		}
	}
	return out
}

// without is a list without what is in another.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

func label(s *Service, metric string) string { return latency.Label(s.Name, metric) }
