// Package fidelity runs applications on the testbed and in the simulator and says how far what users see is apart. See
// docs/formats/fidelity.md.
package fidelity
