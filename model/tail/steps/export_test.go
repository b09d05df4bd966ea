package steps

import (
	"os"
	"time"
)

// Full is a writer on a disk that is full.
func Full(h Header) (*Writer, error) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return newWriter(f, h, time.Time{}), nil
}
