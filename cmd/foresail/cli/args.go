// Package cli is what all commands share: how errors, arguments, results, tables and progress look at a terminal.
package cli

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// NoArgs refuses arguments and names the command that was meant.
func NoArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		msg := fmt.Sprintf("unknown command %q", args[0])
		c.SuggestionsMinimumDistance = 2
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			msg += ", did you mean " + strings.Join(near, " or ") + "?"
		}
		return Usagef("%s; see %q", msg, c.CommandPath()+" --help")
	}
	return Usagef("%s takes no arguments, got %q", c.CommandPath(), args)
}

// Needs refuses arguments, and a call without the named flags.
func Needs(flags ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := NoArgs(c, args); err != nil {
			return err
		}
		var missing []string
		for _, f := range flags {
			if !c.Flags().Changed(f) {
				missing = append(missing, "--"+f)
			}
		}
		if len(missing) > 0 {
			return Usagef("%s needs %s; see %q", c.CommandPath(), strings.Join(missing, " and "), c.CommandPath()+" --help")
		}
		return nil
	}
}

// Relative is a path of a file that lies in dir, relative to where the program was started.
func Relative(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// Round keeps three decimals: no figure here is more exact.
func Round(v float64) float64 { return math.Round(v*1000) / 1000 }
