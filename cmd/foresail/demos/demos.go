// Package demos holds the applications that "foresail demo" can show, what their users do, and the controls by which a person
// shifts that.
package demos

import (
	"strings"

	"foresail.dev/apps/models"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/fault"
	"foresail.dev/plan/managers"
)

// Demo is an application that the demo can show, and what its users do.
type Demo struct {
	Application string
	Title       string
	Day         string        // a load file: a day of ten minutes
	steady      float64       // requests/s
	low, high   float64       // between which a ramp goes
	troubles    []fault.Fault // that are injected in turn where foresight is shown; when and for how long is the demo's
}

var all = []Demo{
	{"social-network", "Social Network", `
load: day
curve:
  - diurnal: {low: 80, high: 320, period: 10m}
mix: {read-home-timeline: 60, read-user-timeline: 15, read-post: 8, compose-post: 5, search: 4, log-in: 2, recommend: 2,
  favorite: 1, repost: 1, send-message: 1, read-messages: 1, follow: 0.5, block: 0.1}
`, 200, 60, 450, []fault.Fault{
		contention("post-storage-service", 0.85), badRelease("nginx-web-server", 3), contention("home-timeline-service", 0.9), badRelease("user-timeline-service", 8)}},
	{"social-network-28", "Sinan's Social Network", `
load: day
curve:
  - diurnal: {low: 60, high: 300, period: 10m}
mix: {compose-post: 5, read-home-timeline: 80, read-user-timeline: 15}
`, 200, 60, 350, nil},
	{"hotel-reservation-17", "Sinan's Hotel Reservation", `
load: day
curve:
  - diurnal: {low: 400, high: 2400, period: 10m}
mix: {search: 600, recommend: 390, user: 5, reserve: 5}
`, 1500, 300, 2700, nil},
}

func contention(service string, amount float64) fault.Fault {
	return fault.Fault{Kind: fault.CPUContention, Target: fault.Target{Service: service}, Amount: amount}
}

func badRelease(service string, times float64) fault.Fault {
	return fault.Fault{Kind: fault.BadRelease, Target: fault.Target{Service: service}, Amount: times}
}

// Shows tells why foresight can't be shown; nil: it can.
func (d *Demo) Shows() error {
	if len(d.troubles) > 0 {
		return nil
	}
	return cli.Usagef("--foresee: the demo of %s has no faults to foresee: use --app %s", d.Application, all[0].Application)
}

// Choose is the application that is asked for, by name. Where none is, it is the first that the manager has a model of, if
// it decides with one, else the first.
func Choose(name, manager string) (*Demo, error) {
	var names []string
	for i := range all {
		d := &all[i]
		names = append(names, d.Application)
		if d.Application == name || name == "" && managers.UsesModel(manager) && models.For(d.Application) != nil {
			return d, nil
		}
	}
	if name == "" {
		return &all[0], nil
	}
	return nil, cli.Usagef("--app %s: the demo has no load for it: use %s, or 'foresail run' for any other", name, strings.Join(names, ", "))
}
