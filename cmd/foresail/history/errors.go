package history

import (
	"errors"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/seal"
)

// badStore marks an error as one of usage where the store is sound and another was meant.
func badStore(err error) error {
	for _, e := range []error{store.ErrNoStore, store.ErrSealed, store.ErrApplication, seal.ErrKey} {
		if errors.Is(err, e) {
			return cli.Usage(err)
		}
	}
	return err
}
