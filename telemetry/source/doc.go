// Package source is what readers of outside data share: opening what may be compressed, lines with a bound on their
// length, comma-separated fields, faults that are counted and told with their places, and the summary that every import
// prints.
package source
