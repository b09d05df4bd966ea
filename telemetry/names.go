package telemetry

import (
	"slices"
	"strings"
	"unicode/utf8"

	"foresail.dev"
)

// Numbers below zero of a service that is not the application's.
const (
	outside    int32 = -1 // not the application's
	client     int32 = -2 // the outside service that tells the endpoints' requests
	noEndpoint int32 = -1
	noUnit     int32 = -1
)

// other is where what is beyond Options.MaxServices, MaxEndpoints and MaxReplicas counts: a service, an endpoint and, of
// each service, a replica of this name. One of the application's own that is called so shares it.
const other = "other"

// service is what is known of one service by name.
type service struct {
	id        int32
	entry     bool             // its requests can be an endpoint's
	seen      bool             // a request of it was observed, or for the client an endpoint's
	endpoints map[string]int32 // by operation
	units     map[string]int32 // by replica
}

// unit is one replica of one service: what spans are counted for. Numbers of units are used again.
type unit struct {
	svc    *service // nil: unused
	name   string
	folded bool
	level  int64 // requests in flight at the end of the last cut interval, as fixed
	newest int64 // the beat in which it last reported, or a later one that something of it was counted in
	waits  int   // its spans that wait for their parent
	spans  bool  // a span was counted of it
	taken  int64 // newest, as the last part told it
	clock  clock

	reported reported
}

// names finds services, units, endpoints and edges by name or number. Unknown ones are made within the bounds.
type names struct {
	app      *foresail.App
	services map[string]*service
	byID     []*service
	outside  *service
	units    []unit
	freed    []int32
	edges    map[uint64]int32
	edgeList []edge

	otherService  *service // nil: nothing was folded
	otherEndpoint int32    // noEndpoint: nothing was folded
}

type edge struct{ from, to int32 }

func newNames(app *foresail.App, o *Options) names {
	n := names{app: app, services: map[string]*service{}, edges: map[uint64]int32{}, outside: &service{id: outside}, otherEndpoint: noEndpoint}
	for i := range app.Services {
		n.addService(app.Services[i].Name, int32(i))
	}
	if o.EndpointService != "" {
		s, ok := n.services[o.EndpointService]
		if !ok {
			s = &service{id: client, endpoints: map[string]int32{}, units: map[string]int32{}}
			n.services[o.EndpointService] = s
		}
		s.entry = true
		for i := range app.Endpoints {
			s.endpoints[app.Endpoints[i].Name] = int32(i)
		}
		return n
	}
	for i := range app.Endpoints {
		e := &app.Endpoints[i]
		if s := n.byID[e.Entry]; true {
			s.entry = true
			s.endpoints[e.Operation] = int32(i)
		}
	}
	return n
}

func (n *names) addService(name string, id int32) *service {
	s := &service{id: id, endpoints: map[string]int32{}, units: map[string]int32{}}
	n.services[name] = s
	n.byID = append(n.byID, s)
	return s
}

// clip bounds a name from outside and makes it valid text. The result shares nothing with name.
func clip(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
		for len(name) > 0 && !utf8.RuneStart(name[len(name)-1]) {
			name = name[:len(name)-1]
		}
		if r, size := utf8.DecodeLastRuneInString(name); r == utf8.RuneError && size == 1 {
			name = name[:len(name)-1]
		}
	}
	return strings.ToValidUTF8(strings.Clone(name), "\uFFFD")
}

// wild tells whether clip would change a name. Names that find no room are only looked at.
func wild(name string) bool { return len(name) > maxName || !utf8.ValidString(name) }

// service finds a sender's service, or adds it where it may; folded tells that it is another one's for want of room.
func (n *names) service(name string, o *Options) (s *service, folded bool) {
	if s, ok := n.services[name]; ok {
		return s, false
	}
	if !o.Discover || name == "" {
		return n.outside, false
	}
	if wild(name) {
		name = clip(name)
		if s, ok := n.services[name]; ok {
			return s, false
		}
	}
	if len(n.app.Services) >= min(o.MaxServices, serviceMax)-1 {
		return n.other(), true
	}
	return n.discover(strings.Clone(name)), false
}

// other is the service that those without room are folded into.
func (n *names) other() *service {
	if n.otherService == nil {
		s, ok := n.services[other]
		if !ok || s.id < 0 {
			s = n.discover(other)
		}
		n.otherService = s
	}
	return n.otherService
}

// discover adds a service to the application.
func (n *names) discover(name string) *service {
	n.grow(func(app *foresail.App) { app.Services = append(app.Services, foresail.Service{Name: name}) })
	return n.addService(name, int32(len(n.app.Services)-1))
}

// grow replaces the application by one that change was made to, since the one handed out must stay as it is.
func (n *names) grow(change func(*foresail.App)) {
	app := *n.app
	app.Services, app.Endpoints = slices.Clip(app.Services), slices.Clip(app.Endpoints)
	change(&app)
	app.Generation++
	n.app = &app
}

// endpoint finds the endpoint that a request of s with this operation belongs to; root requests may add one.
func (n *names) endpoint(s *service, operation string, root bool, o *Options) int32 {
	if s.entry {
		if e, ok := s.endpoints[operation]; ok {
			return e
		}
	}
	if !root || !o.Discover || o.EndpointService != "" {
		return noEndpoint
	}
	if e, ok := s.endpoints[operation]; ok {
		return e
	}
	if wild(operation) {
		operation = clip(operation)
		if e, ok := s.endpoints[operation]; ok {
			return e
		}
	}
	if len(n.app.Endpoints) >= o.MaxEndpoints-1 {
		return n.foldEndpoint(s)
	}
	operation = strings.Clone(operation)
	name := operation
	if _, taken := n.app.EndpointByName(name); taken || name == "" {
		name = n.app.Services[s.id].Name + " " + operation
		if _, taken := n.app.EndpointByName(name); taken {
			return noEndpoint
		}
	}
	n.grow(func(app *foresail.App) {
		app.Endpoints = append(app.Endpoints, foresail.Endpoint{Name: name, Entry: foresail.ServiceID(s.id), Operation: operation})
	})
	s.entry = true
	s.endpoints[operation] = int32(len(n.app.Endpoints) - 1)
	return s.endpoints[operation]
}

// foldEndpoint is the endpoint of those without room. It is said to be one of s, the service that first had none.
func (n *names) foldEndpoint(s *service) int32 {
	if n.otherEndpoint == noEndpoint {
		if e, ok := n.app.EndpointByName(other); ok {
			n.otherEndpoint = int32(e)
			return n.otherEndpoint
		}
		n.grow(func(app *foresail.App) {
			app.Endpoints = append(app.Endpoints, foresail.Endpoint{Name: other, Entry: foresail.ServiceID(s.id), Operation: other})
		})
		s.entry = true
		n.otherEndpoint = int32(len(n.app.Endpoints) - 1)
	}
	return n.otherEndpoint
}

// unit finds the unit of a replica, or makes it; noUnit for outside services.
func (n *names) unit(s *service, replica string, o *Options) int32 {
	if s.units == nil {
		return noUnit
	}
	if u, ok := s.units[replica]; ok {
		return u
	}
	if wild(replica) {
		replica = clip(replica)
		if u, ok := s.units[replica]; ok {
			return u
		}
	}
	folded := replica != "" && len(n.units)-len(n.freed) >= o.MaxReplicas
	if folded {
		replica = other
		if u, ok := s.units[replica]; ok {
			return u
		}
	}
	replica = strings.Clone(replica)
	u := int32(len(n.units))
	if k := len(n.freed); k > 0 {
		u, n.freed = n.freed[k-1], n.freed[:k-1]
	} else {
		n.units = append(n.units, unit{})
	}
	n.units[u] = unit{svc: s, name: replica, folded: folded}
	s.units[replica] = u
	return u
}

// forget gives up the units that have not reported since beat old.
func (n *names) forget(old int64) {
	for i := range n.units {
		u := &n.units[i]
		if u.svc != nil && u.newest < old && u.waits == 0 {
			delete(u.svc.units, u.name)
			*u = unit{}
			n.freed = append(n.freed, int32(i))
		}
	}
}

// edge finds the number of a pair of services. When there are too many it is that of the service other with itself, and
// folded, where services are discovered; otherwise false.
func (n *names) edge(from, to int32, o *Options) (e int32, folded, ok bool) {
	key := uint64(uint32(from))<<32 | uint64(uint32(to))
	if e, ok := n.edges[key]; ok {
		return e, false, true
	}
	if o.Discover && len(n.edgeList) >= o.MaxEdges-1 {
		from, to, folded = n.other().id, n.other().id, true
		key = uint64(uint32(from))<<32 | uint64(uint32(to))
		if e, ok := n.edges[key]; ok {
			return e, true, true
		}
	}
	if len(n.edgeList) >= o.MaxEdges {
		return 0, false, false
	}
	e = int32(len(n.edgeList))
	n.edges[key] = e
	n.edgeList = append(n.edgeList, edge{from, to})
	return e, folded, true
}
