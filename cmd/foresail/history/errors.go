package history

import (
	"errors"
	"fmt"

	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/seal"
)

// ErrUsage is what an error of bad usage is, with errors.Is.
var ErrUsage = errors.New("bad usage")

type usageError struct{ error }

func (e usageError) Unwrap() []error { return []error{e.error, ErrUsage} }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// badStore marks an error as one of usage where the store is sound and another was meant.
func badStore(err error) error {
	for _, e := range []error{store.ErrNoStore, store.ErrSealed, store.ErrApplication, seal.ErrKey} {
		if errors.Is(err, e) {
			return usageError{err}
		}
	}
	return err
}
