// Package theory holds the tests of the simulator against queueing theory, and nothing else: each system that has a
// closed form, or bounds, is simulated at several loads and compared with it.
//
// # How it is compared
//
// A run is cut into 32 batches of equal length, after one more that is thrown away. What is looked at (a mean, a
// variance, the share of requests slower than some time) is computed for each batch. The batches are thousands of
// relaxation times long, so their values are as good as independent and normal, and the mean of all lies within
// t(31, 99.95 %) = 3.633 of its standard errors of the truth with probability 99.9 %. A check fails when the theory lies
// outside that interval. A simulator that is right fails a check once in a thousand seeds; the seeds are fixed, so one
// that passes passes for ever. A check also fails when its interval is so wide that it would say little.
//
// Percentiles are compared without the sketch's rounding: at the bucket bound next to the theory's percentile, the share of
// requests above it is counted exactly, and compared with the theory's share above that same bound.
//
// # The table
//
// go test -count 1 -run Theory ./cluster/sim/theory -args -into $PWD/docs/results/simulator.md writes all that was compared
// into that file as a table.
package theory
