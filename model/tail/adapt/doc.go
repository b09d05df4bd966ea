// Package adapt decides when a model of tail latency is to be fine-tuned, on which seconds, and whether the one that came
// of it may take over: only when it predicts the newest seconds, on which neither was trained, better than the one that
// is used. It does not train and does not run; cmd/foresail/adapting does.
package adapt
