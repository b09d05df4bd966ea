package testbed

import (
	"os"

	replicas "foresail.dev/cluster/testbed/replica"
	"foresail.dev/cluster/testbed/users"
)

// The roles of child processes: the hidden first argument.
const (
	roleReplica = "testbed-replica"
	roleUsers   = "testbed-users"
	roleJanitor = "testbed-janitor"
)

// Child runs this process as a child of a testbed when args, the command line without the program's name, say that it
// is one. Programs that make clusters call it first thing in main and exit with the code when ran is true.
func Child(args []string) (ran bool, code int) {
	if len(args) == 0 {
		return false, 0
	}
	switch args[0] {
	case roleReplica:
		return true, replicas.Run(os.Stdin, os.Stdout)
	case roleUsers:
		return true, users.Run(os.Stdin, os.Stdout)
	case roleJanitor:
		return true, runJanitor(os.Stdin)
	}
	return false, 0
}
