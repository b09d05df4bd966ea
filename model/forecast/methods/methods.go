// Package methods lists every forecast method by name: the one place that knows them all.
package methods

import (
	"slices"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/classic"
	"foresail.dev/model/forecast/mixture"
	"foresail.dev/model/forecast/neural"
)

// All lists the methods, the simplest first. A method with a room of its own joins the list here.
func All() []forecast.Method {
	return []forecast.Method{
		forecast.LastValue{},
		classic.SeasonalNaive{},
		classic.HoltWinters{},
		classic.ARIMA{},
		classic.Ridge{},
		neural.Seq2Seq,
		neural.BNN,
		neural.DUBNN,
		neural.Madu,
		mixture.Method{},
	}
}

// ByName finds a method; false where there is none of that name.
func ByName(name string) (forecast.Method, bool) {
	all := All()
	i := slices.IndexFunc(all, func(m forecast.Method) bool { return m.Name() == name })
	if i < 0 {
		return nil, false
	}
	return all[i], true
}

// Names lists the methods' names, in the order of All.
func Names() []string {
	var names []string
	for _, m := range All() {
		names = append(names, m.Name())
	}
	return names
}
