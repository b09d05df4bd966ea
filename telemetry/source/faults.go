package source

import (
	"fmt"
	"strings"
)

// maxTold is how many faults are told one by one.
const maxTold = 5

// Fault is one thing that could not be read.
type Fault struct {
	File string // empty: there is one file
	Line int    // from 1; of a file that has no lines, the number of the element
	Err  error
}

func (f Fault) String() string {
	if f.File != "" {
		return fmt.Sprintf("%s: line %d: %v", f.File, f.Line, f.Err)
	}
	return fmt.Sprintf("line %d: %v", f.Line, f.Err)
}

// Faults count what could not be read, and keep the first few. The zero value has none; a nil one counts nothing.
type Faults struct {
	Count int
	First []Fault
	File  string // what is being read now
}

// Add notes a fault.
func (f *Faults) Add(line int, err error) {
	if f == nil {
		return
	}
	f.Count++
	if len(f.First) < maxTold {
		f.First = append(f.First, Fault{File: f.File, Line: line, Err: err})
	}
}

// String tells the first few and how many there are in all; empty where there are none.
func (f *Faults) String() string {
	if f.Count == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d could not be read and were left out:", f.Count)
	for _, one := range f.First {
		fmt.Fprintf(&b, "\n  %v", one)
	}
	if more := f.Count - len(f.First); more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}
