package foresail

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// NamedVisit is a Visit with its service's name, as files and the API have it.
type NamedVisit struct {
	Service   string `json:"service"`
	Operation string `json:"operation,omitempty"`
	Parent    int    `json:"parent"`
	Step      int    `json:"step,omitempty"`
	Times     int    `json:"times,omitempty"` // 0 is 1
	Async     bool   `json:"async,omitempty"`
}

// Named are the visits of a form of app, in its order.
func (f *Form) Named(app *App) []NamedVisit {
	out := make([]NamedVisit, len(f.Visits))
	for i, v := range f.Visits {
		out[i] = NamedVisit{Service: app.Services[v.Service].Name, Operation: v.Operation, Parent: v.Parent, Step: v.Step, Async: v.Async}
		if v.Times > 1 {
			out[i].Times = v.Times
		}
	}
	return out
}

// maxNamedVisits bounds what a file can make a reader build.
const maxNamedVisits = 4096

// FormOf makes a form of visits as Named lists them; from is as ArrangeForm has it. It fails where app has no endpoint or
// service of such a name, and where NewForm does.
func FormOf(app *App, endpoint string, visits []NamedVisit) (f *Form, from []int, err error) {
	e, ok := app.EndpointByName(endpoint)
	if !ok {
		return nil, nil, fmt.Errorf("endpoint %q is not one of application %s", endpoint, app.Name)
	}
	if len(visits) > maxNamedVisits {
		return nil, nil, fmt.Errorf("a form of %d visits: %d at most", len(visits), maxNamedVisits)
	}
	all := make([]Visit, len(visits))
	for i, v := range visits {
		id, ok := app.ServiceByName(v.Service)
		if !ok {
			return nil, nil, fmt.Errorf("visit %d: service %q is not one of application %s", i, v.Service, app.Name)
		}
		all[i] = Visit{Service: id, Operation: v.Operation, Parent: v.Parent, Step: v.Step, Times: cmp.Or(v.Times, 1), Async: v.Async}
	}
	return ArrangeForm(e, all)
}

// Path is the form in one line: each service and, in parentheses, what it calls, those side by side separated by " | ", those
// that follow each other by "; ", with "3×" before what is called three times in a row and "~" before what nobody waits for.
// Operations are added, and all is quoted, where they are wanted.
func (f *Form) Path(app *App, operations bool) string {
	texts, children := make([]string, len(f.Visits)), make([][]int, len(f.Visits))
	for i := len(f.Visits) - 1; i >= 0; i-- { // children before parents
		v := &f.Visits[i]
		if v.Parent >= 0 {
			children[v.Parent] = append(children[v.Parent], i)
		}
		slices.SortFunc(children[i], func(a, b int) int {
			return cmp.Or(cmp.Compare(f.Visits[a].Step, f.Visits[b].Step), cmp.Compare(texts[a], texts[b]))
		})
		var b strings.Builder
		if v.Async {
			b.WriteByte('~')
		}
		if v.Times > 1 {
			b.WriteString(strconv.Itoa(v.Times) + "×")
		}
		if name := app.Services[v.Service].Name; operations {
			b.WriteString(strconv.Quote(name) + " " + strconv.Quote(v.Operation))
		} else {
			b.WriteString(name)
		}
		for k, c := range children[i] {
			switch {
			case k == 0:
				b.WriteByte('(')
			case f.Visits[c].Step == f.Visits[children[i][k-1]].Step:
				b.WriteString(" | ")
			default:
				b.WriteString("; ")
			}
			b.WriteString(texts[c])
		}
		if len(children[i]) > 0 {
			b.WriteByte(')')
		}
		texts[i] = b.String()
	}
	return texts[0]
}

// ID is a short name of the form, twelve hexadecimal digits made of the names in it: the same in every run and file.
func (f *Form) ID(app *App) string {
	sum := sha256.Sum256([]byte(app.Endpoints[f.Endpoint].Name + "\n" + f.Path(app, true)))
	return hex.EncodeToString(sum[:6])
}
