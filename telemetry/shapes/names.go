package shapes

import (
	"strings"

	"foresail.dev"
)

// Bounds on what names may come: numbers of operations must fit the keys of habits, three of them into 64 bits.
const (
	maxName       = 256
	maxOperations = 1 << 14
	maxOutside    = 1 << 10 // services that are not the application's
	otherName     = "other"
)

// noOne stands where there is no service, endpoint, span or visit.
const noOne = -1

// service is one by name, the application's or not.
type service struct {
	owner int32 // tells services apart
	id    int32 // foresail.ServiceID; noOne: outside of the application
	users bool  // its spans tell endpoints' requests
	ops   map[string]int32
}

// operation is one of a service: what spans carry the number of.
type operation struct {
	owner    int32
	id       int32 // of the service
	name     string
	endpoint int32 // that it is the entry of; noOne: it is none's
	asked    int32 // the endpoint that a span of the users with this name asks; noOne: none
	named    int32 // the service that a client span of this name calls by its name; unsure: not looked up
	calls    int32 // the operation that client spans of this name called; noOne: none so far; unsure: several
	reports  habit // whether what client spans of this name call has server spans
}

const unsure = -2

// names numbers services and operations.
type names struct {
	app      *foresail.App
	users    string
	services map[string]*service
	ops      []operation
	outside  *service // those beyond maxOutside
	owners   int32
}

func newNames(app *foresail.App, users string) *names {
	n := &names{users: users, services: map[string]*service{}}
	n.outside = &service{id: noOne, ops: map[string]int32{}}
	n.owners = 1
	n.setApp(app)
	return n
}

// setApp takes a new generation: numbers of services and endpoints stay.
func (n *names) setApp(app *foresail.App) {
	n.app = app
	for name, s := range n.services {
		if id, ok := app.ServiceByName(name); ok {
			s.id = int32(id)
		}
	}
	for i := range n.ops {
		n.place(&n.ops[i])
	}
}

// place finds out what an operation is to the application.
func (n *names) place(o *operation) {
	o.id, o.endpoint, o.asked, o.named = noOne, noOne, noOne, unsure
	for _, s := range n.services {
		if s.owner == o.owner {
			o.id = s.id
			if s.users {
				if e, ok := n.app.EndpointByName(o.name); ok {
					o.asked = int32(e)
				}
			}
		}
	}
	if o.id == noOne {
		return
	}
	for i := range n.app.Endpoints {
		e := &n.app.Endpoints[i]
		if !e.Gone && int32(e.Entry) == o.id && e.Operation == o.name {
			o.endpoint = int32(i)
			break
		}
	}
}

// service finds one by name.
func (n *names) service(name string) *service {
	if s, ok := n.services[name]; ok {
		return s
	}
	name = clip(name)
	if s, ok := n.services[name]; ok {
		return s
	}
	id, known := n.app.ServiceByName(name)
	users := name == n.users && name != ""
	if !known && !users && int(n.owners) > maxOutside+len(n.app.Services) {
		return n.outside
	}
	s := &service{owner: n.owners, id: noOne, users: users, ops: map[string]int32{}}
	if known {
		s.id = int32(id)
	}
	n.owners++
	n.services[name] = s
	return s
}

// operation finds one of a service. Those of services outside of the application are all one, but for the users'.
func (n *names) operation(s *service, name string) int32 {
	if op, ok := s.ops[name]; ok {
		return op
	}
	if s.id == noOne && !s.users {
		name = ""
	} else {
		name = clip(name)
	}
	if op, ok := s.ops[name]; ok {
		return op
	}
	if len(n.ops) >= maxOperations-len(n.services) { // each service keeps room for one more
		name = otherName
		if op, ok := s.ops[name]; ok {
			return op
		}
	}
	op := int32(len(n.ops))
	n.ops = append(n.ops, operation{owner: s.owner, name: name, calls: noOne})
	n.place(&n.ops[op])
	s.ops[name] = op
	return op
}

// calledByName is the operation of another service that a client span names: "redis/GET", "redis GET" and "redis" call redis,
// where that is a service of the application. noOne: it names none.
func (n *names) calledByName(op int32) int32 {
	o := &n.ops[op]
	if o.named == unsure {
		o.named = noOne
		at := strings.IndexFunc(o.name, func(r rune) bool { return r == '/' || r == ' ' || r == ':' || r == '.' })
		if at < 0 {
			at = len(o.name)
		}
		if id, ok := n.app.ServiceByName(o.name[:at]); ok && int32(id) != o.id {
			called := n.operation(n.service(o.name[:at]), o.name) // may move n.ops
			n.ops[op].named = called
		}
	}
	return n.ops[op].named
}

// clip bounds a name from outside and makes it valid text that shares nothing with it.
func clip(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	return strings.ToValidUTF8(strings.Clone(name), "\uFFFD")
}
