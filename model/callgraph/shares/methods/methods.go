// Package methods lists the methods that predict shares of call graphs.
package methods

import (
	"foresail.dev/model/callgraph/shares"
	"foresail.dev/model/callgraph/shares/neural"
)

// All is the methods, in the order in which they are shown.
func All() []shares.Method {
	return []shares.Method{shares.LastValue, shares.Ridge, neural.LSTM, shares.Regimes}
}

// ByName finds a method.
func ByName(name string) (shares.Method, bool) {
	for _, m := range All() {
		if m.Name() == name {
			return m, true
		}
	}
	return nil, false
}

// Names are those of all methods.
func Names() (names []string) {
	for _, m := range All() {
		names = append(names, m.Name())
	}
	return names
}
