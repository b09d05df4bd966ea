package web

import (
	"math"
	"slices"

	"foresail.dev"
	"foresail.dev/loop"
)

// decisionLog keeps the decisions that tell something: a change, an error, the begin or end of a fallback, a new note.
// One that repeats the one before it is counted there. It is used under the feed's mutex.
type decisionLog struct {
	mode      string
	manager   string
	fallback  string
	err       string
	note      string
	count     int // decisions, kept or not
	at        int64
	nextID    int
	decisions []*decision
	whys      []*why // by ServiceID; nil: no reason given yet
	outlook   *outlookView
}

func (l *decisionLog) reset() {
	*l = decisionLog{mode: l.mode, manager: l.manager, nextID: l.nextID}
}

// add takes a decision and reports whether anything that is shown changed; what did carries seq.
func (l *decisionLog) add(d loop.Decision, app *foresail.App, seq uint64) bool {
	shown := l.mode != d.Mode.String()
	l.mode = d.Mode.String()
	l.count++
	l.at = unixMS(d.At)
	rec := &decision{ID: l.nextID, At: l.at, Mode: l.mode, Applied: d.Applied, Took: millis(d.Took.Seconds()), Changes: []changeView{}, seq: seq}
	if d.Err != nil {
		rec.Error = d.Err.Error()
	}
	if d.Plan != nil {
		if d.Plan.Manager != "" {
			shown = shown || l.manager != d.Plan.Manager
			l.manager = d.Plan.Manager
		}
		rec.Note, rec.Fallback = d.Plan.Note, d.Plan.Fallback
		if o := d.Plan.Outlook; o != nil {
			l.outlook, shown = viewOutlook(o, l.at), true
		}
		for _, a := range d.Plan.Alarms {
			if a.Service >= 0 && int(a.Service) < len(app.Services) {
				rec.Alarms = append(rec.Alarms, alarmView{a.Service, a.Text})
			}
		}
		l.changes(rec, d, app)
	}
	rec.Manager = l.manager
	if rec.Fallback == "" {
		rec.Ended = l.fallback
	}
	keep := len(rec.Changes) > 0 || len(rec.Alarms) > 0 || rec.Error != "" || rec.Fallback != l.fallback || (rec.Note != "" && rec.Note != l.note)
	shown = shown || rec.Error != l.err || rec.Fallback != l.fallback || rec.Held > 0
	l.fallback, l.err, l.note = rec.Fallback, rec.Error, rec.Note
	if !keep {
		return shown
	}
	if n := len(l.decisions); n > 0 && l.decisions[n-1].same(rec) {
		again := *l.decisions[n-1] // the old one may have been handed out
		again.Note = rec.Note
		again.Repeated++
		again.Last, again.seq = rec.At, seq
		l.decisions[n-1] = &again
		return true
	}
	l.nextID++
	if len(l.decisions) == keepDecisions {
		l.decisions = slices.Delete(l.decisions, 0, 1)
	}
	l.decisions = append(l.decisions, rec)
	return true
}

// changes sorts a plan's changes into those that move a service and those that hold it, and notes each reason.
func (l *decisionLog) changes(rec *decision, d loop.Decision, app *foresail.App) {
	for _, c := range d.Plan.Changes {
		if c.Service < 0 || int(c.Service) >= len(app.Services) {
			continue
		}
		v := changeView{Service: c.Service, To: c.To, Reason: c.Reason}
		if int(c.Service) < len(d.Before) && d.Before[c.Service].Replicas > 0 {
			from := d.Before[c.Service]
			v.From = &from
		}
		held := v.From != nil && v.From.Equal(c.To)
		for len(l.whys) <= int(c.Service) {
			l.whys = append(l.whys, nil)
		}
		l.whys[c.Service] = &why{Service: c.Service, At: rec.At, Held: held, Reason: c.Reason, seq: rec.seq}
		if held {
			rec.Held++
			continue
		}
		rec.Changes = append(rec.Changes, v)
	}
	slices.SortStableFunc(rec.Changes, func(a, b changeView) int {
		switch x, y := a.move(), b.move(); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	if n := len(rec.Changes); n > keepChanges {
		rec.Changes, rec.More = rec.Changes[:keepChanges:keepChanges], n-keepChanges
	}
}

// move is by how many cores a change moves its service; from nothing known, all of it.
func (c *changeView) move() float64 {
	if c.From == nil {
		return c.To.Cores()
	}
	return math.Abs(c.To.Cores() - c.From.Cores())
}

// noteOnly reports that a decision tells nothing but a note.
func (d *decision) noteOnly() bool {
	return len(d.Changes) == 0 && len(d.Alarms) == 0 && d.Error == "" && d.Fallback == "" && d.Ended == ""
}

// same reports whether two decisions ask for the same under the same circumstances. Their figures may differ, and so
// may notes that stand alone: a guard writes another with each decision.
func (d *decision) same(e *decision) bool {
	if d.noteOnly() && e.noteOnly() {
		return d.Mode == e.Mode && d.Manager == e.Manager
	}
	return d.Mode == e.Mode && d.Manager == e.Manager && d.Applied == e.Applied && d.Error == e.Error && d.Note == e.Note &&
		d.Fallback == e.Fallback && d.Ended == e.Ended && d.More == e.More && slices.Equal(d.Alarms, e.Alarms) &&
		slices.EqualFunc(d.Changes, e.Changes, func(a, b changeView) bool { return a.Service == b.Service && a.To.Equal(b.To) })
}

// since adds to u what came after update seq.
func (l *decisionLog) since(seq uint64, u *update) {
	u.Fallback, u.Error, u.DecidedAt, u.Decided = l.fallback, l.err, l.at, l.count
	if o := l.outlook; o != nil && l.at-o.At <= Recent.Milliseconds() {
		u.Outlook = o
	}
	for _, d := range l.decisions {
		if d.seq > seq {
			u.Decisions = append(u.Decisions, d)
		}
	}
	for _, w := range l.whys {
		if w != nil && w.seq > seq {
			u.Why = append(u.Why, w)
		}
	}
}
