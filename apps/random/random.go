// Package random draws applications nobody tuned to, of any size up to MaxServices, after the published
// characterisation of Alibaba's microservices: Luo et al., "Characterizing Microservice Dependency and Performance:
// Alibaba Trace Analysis", SoCC 2021. It is pure: the same Config gives the same blueprint.
//
// # What is drawn
//
// Each endpoint has a call graph of its own, a tree of calls:
//
//  1. Its size, in services, is heavy-tailed: Burr XII, with a median of 9 and a tenth beyond 40.
//  2. It is Depth calls deep on average, and star-like: few services call others, FanOut each on average, and the rest are
//     leaves.
//  3. Who is called: Sharing of all services are hot spots, of which nine endpoints in ten reach at least one, and more than
//     a tenth of the stateless services have more than 16 callers, while most services have one or two. Leaves are caches,
//     databases, queues, or stateless services.
//  4. Graphs are dynamic: Dynamic of the calls are made with a probability below one, and what a cache holds is not asked
//     of the database behind it. So an endpoint has many shapes. Queues are called asynchronously, and a few services are,
//     too.
//
// Endpoints are drawn until an average service is called from CallsPerService places. Services of one application are
// shared between endpoints: each place in a graph is an operation of its service, and leaves have one operation for all.
// Calls lead from shallower services to deeper ones, so no services wait for each other in a ring.
//
// The study gives no demands: CPU time is lognormal between operations, with a median of 0.6 ms for a stateless service.
// The initial allocation uses half its cores at Config.Rate, spread evenly over the endpoints. An objective is
// ObjectiveFactor times the p99 of an idle application, which is estimated by drawing requests that nobody else waits for.
package random

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"foresail.dev"
)

// MaxServices bounds an application.
const MaxServices = 10_000

// What the drawing goes by; see the package comment.
const (
	CallsPerService = 5
	ObjectiveFactor = 5
	RatePerEndpoint = 10 // requests/s, where Config.Rate is 0
)

// Config says what is drawn. A zero field means its default, which is Alibaba's.
type Config struct {
	Name     string  // "" means like random-100-7: services and seed
	Services int     // 4 to MaxServices
	Depth    float64 // mean depth of a call graph, in calls, 1 to 20; 0 means 3
	FanOut   float64 // mean number of calls of an operation that makes any, 1 to 50; 0 means 3
	Sharing  float64 // share of services that are hot spots, above 0 to 0.3; 0 means 0.05
	Dynamic  float64 // share of calls that are not always made, 0 to 1; negative means none, 0 means 0.4
	Rate     float64 // requests/s over all endpoints that the initial allocation is for; 0 means RatePerEndpoint for each
	Seed     uint64
}

func (c *Config) defaults() {
	def := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Depth, 3)
	def(&c.FanOut, 3)
	def(&c.Sharing, 0.05)
	def(&c.Dynamic, 0.4)
	c.Dynamic = max(c.Dynamic, 0)
	if c.Name == "" {
		c.Name = fmt.Sprintf("random-%d-%d", c.Services, c.Seed)
	}
}

// validate reports every fault at once; it comes after defaults.
func (c *Config) validate() error {
	var errs []error
	within := func(what string, v, low, high float64) {
		if !(v >= low && v <= high) {
			errs = append(errs, fmt.Errorf("random application: %s is %g, must lie within %g..%g", what, v, low, high))
		}
	}
	within("services", float64(c.Services), 4, MaxServices)
	within("depth", c.Depth, 1, 20)
	within("fan-out", c.FanOut, 1, 50)
	within("sharing", c.Sharing, 0.001, 0.3)
	within("dynamic", c.Dynamic, 0, 1)
	within("rate", c.Rate, 0, 1e6)
	return errors.Join(errs...)
}

// New draws an application. Its errors say what is out of range in the Config.
func New(c Config) (*foresail.Blueprint, error) {
	c.defaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	d := &drawer{c: c, rng: rand.New(rand.NewPCG(c.Seed, uint64(c.Services))), services: make([]service, c.Services)}
	d.populate()
	d.wire()
	bp := d.blueprint()
	d.allocate(bp)
	d.objectives(bp)
	return bp, nil
}
