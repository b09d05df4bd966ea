package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// usageError is an error that the person at the terminal mends by calling again: bad flags, a bad file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage marks an error as one of usage; nil stays nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// IsUsage reports whether an error, or one that it wraps, is one of usage.
func IsUsage(err error) bool {
	var u usageError
	return errors.As(err, &u)
}

// Usagef makes an error of usage.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Stoppable is done when the process is told to end; being told again ends it at once. It is asked for once a job's
// inputs have been read: until then a signal does what it does by default, since reading may wait for ever.
func Stoppable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
