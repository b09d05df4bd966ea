// Package diagnosing is what foresail diagnose does: it reads data sets of issues whose culprit is known, and measures methods
// on them.
package diagnosing
