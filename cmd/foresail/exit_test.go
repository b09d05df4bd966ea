package main

import (
	"errors"
	"os/exec"
	"strconv"
)

// exitOf is the exit status in an error of running a program.
func exitOf(err error) string {
	var e *exec.ExitError
	if errors.As(err, &e) {
		return strconv.Itoa(e.ExitCode())
	}
	return err.Error()
}
