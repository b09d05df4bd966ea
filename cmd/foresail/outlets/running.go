package outlets

import (
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/model/diagnose/resource"
	"foresail.dev/telemetry/outlet"
)

// grace is how long messages may still be sent when a run has ended.
const grace = 5 * time.Second

// Running are the outlets of one run. A nil one has none.
type Running struct {
	all    []*outlet.Outlet
	alarms outlet.Alarms
}

// Start opens outlets. Page is where people see more; tell is given what a person at the terminal should know. Nil where there are none.
func Start(all []Config, page string, tell func(line string)) (*Running, error) {
	if len(all) == 0 {
		return nil, nil
	}
	r := &Running{}
	var senders []outlet.Sender
	for i := range all {
		s, err := all[i].sender(page)
		if err != nil {
			return nil, fmt.Errorf("outlets[%d]: %w", i, err)
		}
		senders = append(senders, s)
	}
	for _, s := range senders {
		r.all = append(r.all, outlet.Open(s, outlet.Config{Tell: tell}))
	}
	r.alarms = outlet.Alarms{Diagnose: diagnose, Put: func(m *outlet.Message) {
		for _, o := range r.all {
			o.Put(m)
		}
	}}
	return r, nil
}

// Options puts into a loop's options what it needs.
func (r *Running) Options(o *loop.Options) {
	if r == nil {
		return
	}
	o.History = o.History.Join(foresail.Needs{Beats: beatsNow + beatsBefore}) // causes are found in it
	o.Events = loop.Join(o.Events, r.alarms.Events())
}

// Close sends what waits.
func (r *Running) Close() {
	if r == nil {
		return
	}
	for _, o := range r.all {
		o.Close(grace)
	}
}

// Metrics tells /metrics what became of messages.
func (r *Running) Metrics(emit func(name string, v float64, labels ...string)) {
	if r == nil {
		return
	}
	for _, o := range r.all {
		s := o.Stats()
		for outcome, n := range map[string]uint64{"sent": s.Sent, "dropped": s.Dropped, "failed": s.Failed, "retried": s.Retries} {
			emit("foresail_outlet_messages_total", float64(n), o.Name(), outcome)
		}
	}
}

// What is compared: a second with the quarter of a minute before it, as in model/diagnose/resource's own figures. It is short of a fault
// that has only begun; what counters don't tell yet is left out.
const (
	beatsNow    = 10
	beatsBefore = 150
)

func diagnose(h *foresail.History, id foresail.ServiceID) outlet.Cause {
	beats := h.Beats(beatsNow + beatsBefore)
	if len(beats) < 2*beatsNow {
		return outlet.Cause{}
	}
	cut := len(beats) - beatsNow
	d, err := resource.Diagnose(h.App(), id, beats[:cut], beats[cut:], resource.Config{})
	if err != nil || len(d.Findings) == 0 {
		return outlet.Cause{}
	}
	f := d.Findings[0]
	return outlet.Cause{Resource: f.Resource.String(), Evidence: f.Evidence, Action: f.Action}
}
