// Package dist holds distributions of the time that one visit of a service takes by itself, and sums of them.
//
// A Stage is a shift plus an exponential, or a shift plus a mixture of Erlang distributions where an exponential does not
// fit: with enough parts such a mixture comes as near as is wanted to any distribution of positive times, and it can be
// summed and maximised by the same means. A Sum is the total of independent stages one after the other, exactly.
// Seconds and 1/s throughout.
package dist
