// Package identity says which control group is which replica of which service.
//
// Rules of the user go first: patterns over the group's path, and environment variables of its processes. The
// containers of Kubernetes and Docker are known by their paths; their pods' services are for the daemon to say, which
// can ask the cluster. What is neither counts into the node alone.
package identity

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"
)

// Rule names the groups whose path matches.
type Rule struct {
	Cgroup  string `yaml:"cgroup" rule:"required"`  // a regular expression over the path, for example ^/system\.slice/(.+)\.service$
	Env     string `yaml:"env"`                     // a variable that a process of the group must have: its value is ${env}
	Service string `yaml:"service" rule:"required"` // with $1, ${name}, ${env} from the above
	Replica string `yaml:"replica"`                 // likewise; empty: the service and the end of the group's name
}

// Testbed is the rule for the replicas of 'foresail testbed', and of run on a testbed: each is named after its service
// and a number.
var Testbed = Rule{Cgroup: `^/foresail-[^/]+/((.+)-[0-9]+)$`, Service: "$2", Replica: "$1"}

// Rules are rules that can be used.
type Rules []rule

type rule struct {
	Rule
	path *regexp.Regexp
}

// maxRules bounds what each new group is matched against.
const maxRules = 100

// Compile makes rules ready, and names every fault.
func Compile(rules []Rule) (Rules, error) {
	var out Rules
	var faults []error
	if len(rules) > maxRules {
		faults = append(faults, fmt.Errorf("%d rules: at most %d", len(rules), maxRules))
		rules = rules[:maxRules]
	}
	for i, r := range rules {
		re, err := regexp.Compile(r.Cgroup)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("rules[%d].cgroup: %w", i, err))
			continue
		case r.Service == "":
			faults = append(faults, fmt.Errorf("rules[%d].service: say which service, for example $1", i))
		case r.Env == "" && (strings.Contains(r.Service, "${env}") || strings.Contains(r.Replica, "${env}")):
			faults = append(faults, fmt.Errorf("rules[%d].env: ${env} is used, but no variable is named", i))
		}
		out = append(out, rule{r, re})
	}
	return out, errors.Join(faults...)
}

// Environment gives the variables of a group's processes, as /proc/PID/environ has them; nil where there is none.
type Environment func() []byte

// Identify says what a group is; ok is false for one that is no container. again asks to look once more when the group has
// processes: a rule's variable could not be read.
func (rs Rules) Identify(path string, env Environment) (c wire.Container, ok, again bool) {
	pod, id, _, known := kube(path)
	if c.ID = path; known {
		c.ID, c.Pod = id, pod
	}
	for i := range rs {
		r := &rs[i]
		at := r.path.FindStringSubmatchIndex(path)
		if at == nil {
			continue
		}
		value := ""
		if r.Env != "" {
			all := env()
			if value = variable(all, r.Env); value == "" {
				again = again || len(all) == 0
				continue
			}
		}
		c.Service = frames.Clip(r.expand(r.Service, path, at, value))
		if c.Replica = frames.Clip(r.expand(r.Replica, path, at, value)); c.Replica == "" {
			c.Replica = frames.Clip(c.Service + "-" + short(c.ID))
		}
		if c.Service != "" {
			return c, true, false
		}
	}
	return c, known, again
}

// expand fills a template in.
func (r *rule) expand(template, path string, at []int, env string) string {
	const mark = "\x00"
	s := string(r.path.ExpandString(nil, strings.ReplaceAll(template, "${env}", mark), path, at))
	return strings.ReplaceAll(s, mark, env)
}

// short is enough of an id to tell replicas apart.
func short(id string) string {
	id = id[strings.LastIndexByte(id, '/')+1:]
	return id[:min(len(id), 12)]
}

// variable finds a variable's value in the form of /proc/PID/environ.
func variable(environ []byte, name string) string {
	for len(environ) > 0 {
		one, rest, _ := bytes.Cut(environ, []byte{0})
		if k, v, ok := bytes.Cut(one, []byte{'='}); ok && string(k) == name {
			return string(v)
		}
		environ = rest
	}
	return ""
}

// maxEnviron is how much of an environment is read.
const maxEnviron = 64 << 10

// Environ reads a process's environment.
func Environ(proc string, pid int) []byte {
	f, err := os.Open(fmt.Sprintf("%s/%d/environ", proc, pid))
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, maxEnviron)
	n, _ := f.Read(b)
	return b[:n]
}
