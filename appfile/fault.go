package appfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong in a file.
type Fault struct {
	File         string // as the reader was given it
	Line, Column int    // from 1; Column counts bytes
	Path         string // of the value in the file, like services.geo.operations.nearby.cpu; empty for the whole file
	Message      string // what is wrong and, where it can be said, what to do
}

// Error reads like "hotel.yaml:12:5: services.geo.workers: is -1, must be at least 0".
func (f Fault) Error() string {
	if f.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", f.File, f.Line, f.Column, f.Path, f.Message)
}

// Faults is everything wrong in a file, in the order of its lines, without repeats.
type Faults []Fault

// Error lists all faults, one a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// maxFaults is how many faults are worth telling a person: a file with more is not the file that was meant.
const maxFaults = 500

// collector gathers the faults of one file.
type collector struct {
	file   string
	faults Faults
	seen   map[Fault]bool
	more   int // faults left out
}

func newCollector(file string) *collector { return &collector{file: file, seen: map[Fault]bool{}} }

func (c *collector) add(f Fault) {
	if f.File == "" {
		f.File = c.file
	}
	f.Line, f.Column = max(f.Line, 1), max(f.Column, 1)
	switch {
	case c.seen[f]: // an operation inherited by several services is checked once for each
	case len(c.faults) >= maxFaults:
		c.more++
	default:
		c.seen[f] = true
		c.faults = append(c.faults, f)
	}
}

// err is nil, or Faults.
func (c *collector) err() error {
	if len(c.faults) == 0 {
		return nil
	}
	out := slices.Clone(c.faults)
	slices.SortStableFunc(out, func(a, b Fault) int {
		return cmp.Or(boolCompare(a.File != c.file, b.File != c.file), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
	if c.more > 0 {
		last := out[len(out)-1]
		out = append(out, Fault{last.File, last.Line, last.Column, "", fmt.Sprintf("and %d more faults that are not listed", c.more)})
	}
	return out
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
