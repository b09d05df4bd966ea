// Package drift tells when a model of tail latency no longer fits what it is used on: its errors have grown, what it calls
// probable happens more or less often, the load's mix or a service's cost is not what it was trained on, a service was
// released anew, the machine has become slower.
//
// A Watch is told each second and what was predicted for it, and lists what it found, with figures and since when. It is
// arithmetic: the same seconds give the same findings. It compares minutes, not seconds: a second is noise, and the days
// that a model serves for are long. What it looks for, and at which bounds, is told at each test (fit.go, calibration.go,
// inputs.go, release.go); the bounds are set so that a day of what the model was trained on raises nothing.
package drift
