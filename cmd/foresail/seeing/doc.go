// Package seeing simulates operation for model/foresee to learn from and to be judged on: loads and faults that are drawn from a
// seed, labelled from snapshots and spans alone. What was injected is kept beside, for whoever evaluates.
package seeing
