// Package forecast holds what every method that forecasts load has in common: a series, a forecast, and two interfaces,
// Method and Forecaster. History goes in; a mean, a scale and quantiles for each step ahead come out.
//
// The methods have rooms of their own below: model/forecast/classic holds those that need no network, model/forecast/mixture
// Foresail's own, model/forecast/methods the table of all by name. model/forecast/evaluate measures them on a
// rolling origin, and model/forecast/csvfile reads a series from a file.
//
// Loads are not negative, and neither are forecasts of them. Every method gives the same values for the same input, seed
// and order of calls: none reads a clock or a source of chance of its own.
package forecast
