// Package bench puts settings of an application's knobs into effect, on a cluster that is simulated or real, and measures what users
// then see. It rolls back nothing by itself: who calls Set says what is to be.
package bench
