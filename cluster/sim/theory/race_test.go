//go:build race

package theory_test

// raced is whether the race detector is on: it makes the simulator many times slower, so that less is simulated.
const raced = true
