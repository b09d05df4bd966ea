package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"foresail.dev/cluster/testbed"
)

// TestMain lets this binary be the program itself, in scripts, and the processes that the program starts.
func TestMain(m *testing.M) {
	if ran, code := testbed.Child(os.Args[1:]); ran {
		os.Exit(code)
	}
	if filepath.Base(os.Args[0]) == "foresail" {
		if len(os.Args) == 3 && os.Args[1] == "merging" {
			if err := mergingProcess(os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
		os.Exit(Main())
	}
	testscript.Main(m, map[string]func(){"foresail": func() { os.Exit(Main()) }})
}

// Each script is what a person sees: commands, what they print, and their exit status.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			root, err := os.Getwd()
			if err != nil {
				return err
			}
			e.Setenv("ROOT", root+"/../..")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"status": status},
	})
}

// status fails unless the program, run with the remaining arguments, ends with the given exit status: what "! exec"
// can't tell apart.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N program [argument...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = exitOf(err)
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}
