package bucket

import (
	"errors"

	"foresail.dev/ml"
)

// Broken tells whether an error of Get is one of the file's bytes: it was cut off or changed, and is to be made again.
func Broken(err error) bool {
	return errors.Is(err, ml.ErrTruncated) || errors.Is(err, ml.ErrCorrupt) || errors.Is(err, ml.ErrNotModel)
}
