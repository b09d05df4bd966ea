package explaining

import (
	"foresail.dev/cmd/foresail/cli"
)

// inData reads it from a data set.
func (f *from) inData() (*moment, error) {
	return nil, cli.Usagef("--data: not yet")
}
