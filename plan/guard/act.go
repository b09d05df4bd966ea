package guard

import (
	"fmt"
	"strings"

	"foresail.dev"
)

// act is one thing that the guard did to what was asked for.
type act struct {
	rule  string // "guard/step-limit"
	bound string // what was binding
	why   string
}

type acts []act

func (a acts) text() string {
	parts := make([]string, len(a))
	for i, x := range a {
		parts[i] = x.why
	}
	return strings.Join(parts, "; ")
}

// reason is the manager's own where the guard did nothing, else what it made of it and why.
func (a acts) reason(by string, c foresail.Change, to foresail.Allocation) foresail.Reason {
	if len(a) == 0 {
		return c.Reason
	}
	bounds := make([]string, 0, len(a)+1)
	if c.Reason.Bound != "" {
		bounds = append(bounds, c.Reason.Bound)
	}
	for _, x := range a {
		bounds = append(bounds, x.bound)
	}
	r := foresail.Reason{
		Rule:  a[len(a)-1].rule,
		Text:  fmt.Sprintf("%s asked for %v and gets %v: %s", by, c.To, to, a.text()),
		Bound: strings.Join(bounds, ", "),
	}
	if c.Reason.Text != "" {
		r.Considered = append(r.Considered, by+": "+c.Reason.Text)
	}
	r.Considered = append(r.Considered, c.Reason.Considered...)
	return r
}
