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
	os.Exit(m.Run())
}
