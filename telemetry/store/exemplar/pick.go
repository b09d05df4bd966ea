package exemplar

import (
	"foresail.dev"
	"foresail.dev/telemetry/group"
)

// Picker keeps exemplar traces out of spans that are read from a file: in their own time, and in any order of minutes
// within a day. Those of one trace may be apart by as many others as the picker holds at once.
type Picker struct {
	app     string
	store   *Store
	groups  *group.Groups[foresail.TraceID, foresail.Span]
	chooser *Chooser
}

// NewPicker makes one that writes to store.
func NewPicker(store *Store, app string, o Choice) *Picker {
	if o.Minutes <= 0 {
		o.Minutes = 24 * 60
	}
	return &Picker{app: app, store: store, chooser: NewChooser(o),
		groups: group.New[foresail.TraceID, foresail.Span](group.Options{Early: true, MaxItems: 500_000})}
}

// Add takes spans. The error is the store's.
func (p *Picker) Add(spans []foresail.Span) error {
	var chosen []Trace
	for i := range spans {
		if g := p.groups.Add(0, spans[i].Trace, spans[i]); g != nil {
			chosen = append(chosen, p.offer(g)...)
		}
	}
	return p.write(chosen)
}

// Close writes what is left. The store stays open.
func (p *Picker) Close() error {
	var chosen []Trace
	for _, g := range p.groups.Rest() {
		chosen = append(chosen, p.offer(g)...)
	}
	return p.write(append(chosen, p.chooser.Rest()...))
}

func (p *Picker) offer(g *group.Group[foresail.TraceID, foresail.Span]) []Trace {
	t, _ := NewTrace(g.Items)
	return p.chooser.Offer(t)
}

func (p *Picker) write(chosen []Trace) error {
	if len(chosen) == 0 {
		return nil
	}
	return p.store.Append(p.app, chosen)
}
