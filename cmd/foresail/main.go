// Command foresail keeps a microservice application inside its latency objectives with as few cores as it can, and says
// what will go wrong before it does, where, and why.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"foresail.dev/cluster/testbed"
	"foresail.dev/cmd/foresail/cli"
)

func main() { os.Exit(Main()) }

// Main is the program with the process's own arguments and streams; tests run it by name. It returns the exit status.
func Main() int {
	if ran, code := testbed.Child(os.Args[1:]); ran {
		return code
	}
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == "kubectl-foresail" { // as kubectl finds its plugins
		args = append([]string{"kubectl"}, args...)
	}
	return run(context.Background(), args, os.Stdout, os.Stderr)
}

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1 // the job failed
	exitUsage  = 2 // bad usage or configuration
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "foresail: %v\n", err)
	if cli.IsUsage(err) || errors.Is(err, testbed.ErrNoCgroup) {
		return exitUsage
	}
	return exitFailed
}
