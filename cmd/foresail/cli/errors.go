package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// UsageError is an error that the person at the terminal mends by calling again: bad flags, a bad file.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

// Usage marks an error as one of usage; nil stays nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return UsageError{err}
}

func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// Stoppable is done when the process is told to end; being told again ends it at once. It is asked for once a job's
// inputs have been read: until then a signal does what it does by default, since reading may wait for ever.
func Stoppable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
