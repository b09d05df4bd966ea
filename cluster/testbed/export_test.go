package testbed

import "foresail.dev/cluster/testbed/wire"

// SetEpoch makes the machine's clock look set since the run began.
func (c *Config) SetEpoch(e wire.Epoch) { c.epoch = e }
