package outlet

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
)

// Times of a danger that lasts.
const (
	Again   = time.Minute      // it is told again, for those who forget
	Longest = 10 * time.Minute // nothing more was heard of it: it counts as over
)

// Cause is what is at fault at a service, as far as it is known.
type Cause struct{ Resource, Evidence, Action string }

// Alarms turns a loop's decisions into messages. It is used from the loop's goroutine.
type Alarms struct {
	Diagnose func(h *foresail.History, id foresail.ServiceID) Cause // nil: nobody knows
	Put      func(*Message)                                         // must return at once

	now     *foresail.History // while a decision is made
	lasting []lasting         // by service
}

type lasting struct {
	service foresail.ServiceID
	message *Message
	heard   time.Time // of it last
	told    time.Time // it was last
}

// Events are what the loop is to tell.
func (a *Alarms) Events() loop.Events { return loop.Events{Observed: a.observed, Decided: a.decided} }

func (a *Alarms) observed(h *foresail.History, s *foresail.Snapshot) {
	a.now = h
	a.lasting = slices.DeleteFunc(a.lasting, func(l lasting) bool {
		over := s.End.Sub(l.heard) >= Longest || s.End.Before(l.message.At)
		if over {
			a.Put(l.message.over(s.End))
		}
		return over
	})
	for i := range a.lasting {
		if l := &a.lasting[i]; s.End.Sub(l.told) >= Again {
			l.told = s.End
			again := *l.message
			again.again = true
			a.Put(&again)
		}
	}
}

func (a *Alarms) decided(d loop.Decision) {
	if d.Plan == nil || a.now == nil {
		return
	}
	app := a.now.App()
	for _, id := range d.Plan.Over {
		if i := a.find(id); i >= 0 {
			a.Put(a.lasting[i].message.over(d.At))
			a.lasting = slices.Delete(a.lasting, i, i+1)
		}
	}
	for _, w := range d.Plan.Alarms {
		if w.Service < 0 || int(w.Service) >= len(app.Services) {
			continue
		}
		if i := a.find(w.Service); i >= 0 { // as from a manager that was swapped in and knows nothing of it
			a.lasting[i].heard = d.At
			continue
		}
		m := a.message(app, &d, w)
		a.lasting = append(a.lasting, lasting{w.Service, m, d.At, d.At})
		slices.SortFunc(a.lasting, func(x, y lasting) int { return cmp.Compare(x.service, y.service) })
		a.Put(m)
	}
}

func (a *Alarms) find(id foresail.ServiceID) int {
	return slices.IndexFunc(a.lasting, func(l lasting) bool { return l.service == id })
}

func (a *Alarms) message(app *foresail.App, d *loop.Decision, w foresail.Alarm) *Message {
	name := app.Services[w.Service].Name
	m := &Message{Schema: Schema, Status: Danger, Application: app.Name, Service: name, Manager: d.Plan.Manager, At: d.At.UTC(),
		ID:          fmt.Sprintf("%s/%s/%s", app.Name, name, d.At.UTC().Format(time.RFC3339Nano)),
		Probability: w.Probability, Share: w.Share, Within: w.Within.Seconds(), Text: w.Text}
	var c Cause
	if a.Diagnose != nil {
		c = a.Diagnose(a.now, w.Service)
	}
	m.Resource, m.Evidence, m.Action = c.Resource, c.Evidence, c.Action
	if change, ok := d.Plan.Change(w.Service); ok {
		was, is := foresail.Allocation{}, change.To
		if int(w.Service) < len(d.Before) {
			was = d.Before[w.Service]
		}
		m.Acted = slices.ContainsFunc(d.Changed(), func(c foresail.Change) bool { return c.Service == w.Service })
		does := fmt.Sprintf("give %s %s instead of %s", name, have(is), have(was))
		if m.Acted {
			does = fmt.Sprintf("%s has been given %s; it had %s", name, have(is), have(was))
		}
		if m.Action == "" {
			m.Action = does
		} else {
			m.Action = does + "; " + m.Action
		}
	}
	if m.Action == "" {
		m.Action = "see what " + name + " waits for, and give it more, or its callers less"
	}
	return m
}

func have(a foresail.Allocation) string {
	if a.Replicas == 0 {
		return "what it has"
	}
	return fmt.Sprintf("%d × %g cores", a.Replicas, a.CPU)
}

// over is the message that its danger is over.
func (m *Message) over(at time.Time) *Message {
	out, end := *m, at.UTC()
	out.Status, out.Ended, out.again = Over, &end, false
	return &out
}
