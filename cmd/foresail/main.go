// Command foresail keeps a microservice application inside its latency objectives with as few cores as it can, and says
// what will go wrong before it does, where, and why.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"foresail.dev/cluster/testbed"
)

func main() { os.Exit(Main()) }

// Main is the program with the process's own arguments and streams; tests run it by name. It returns the exit status.
func Main() int {
	if ran, code := testbed.Child(os.Args[1:]); ran {
		return code
	}
	return run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
}

// stoppable is done when the process is told to end; being told again ends it at once. It is asked for once a job's
// inputs have been read: until then a signal does what it does by default, since reading may wait for ever.
func stoppable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1 // the job failed
	exitUsage  = 2 // bad usage or configuration
)

// usageError is an error that the person at the terminal mends by calling again: bad flags, a bad file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usage marks an error as one of usage; nil stays nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "foresail: %v\n", err)
	var u usageError
	if errors.As(err, &u) || errors.Is(err, testbed.ErrNoCgroup) {
		return exitUsage
	}
	return exitFailed
}
