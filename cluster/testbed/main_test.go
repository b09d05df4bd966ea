package testbed_test

import (
	"os"
	"testing"

	"foresail.dev/cluster/testbed"
)

// The test binary is its own child processes: replicas, users and janitor.
func TestMain(m *testing.M) {
	if ran, code := testbed.Child(os.Args[1:]); ran {
		os.Exit(code)
	}
	if len(os.Args) == 5 && os.Args[1] == roleParent {
		os.Exit(runParent(os.Args[2:]))
	}
	os.Exit(m.Run())
}
