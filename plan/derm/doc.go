// Package derm is Derm's manager (Chen et al., ISCA 2024): the fewest containers under which the latency percentile of every
// endpoint stays within its objective, for the call graphs that requests are expected to take.
package derm
