//go:build !race

package managers_test

// raced says that the race detector is on, under which a simulation takes ten times as long.
const raced = false
