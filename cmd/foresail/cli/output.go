package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Result is what every command that prints a result prints with --json; see docs/formats/results.md.
type Result struct {
	Schema  string   `json:"schema"`
	Commit  string   `json:"commit,omitempty"` // absent in a build that carries none
	Seed    *uint64  `json:"seed,omitempty"`
	Seeds   []uint64 `json:"seeds,omitempty"` // where there are several
	Machine machine  `json:"machine"`
	Rows    any      `json:"rows"`
	Detail  any      `json:"detail,omitempty"` // what does not fit in flat rows, named by the schema
}

// machine says where a result was made.
type machine struct {
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	CPUs    int    `json:"cpus"`
	CPU     string `json:"cpu,omitempty"`
	Kernel  string `json:"kernel,omitempty"`
	Go      string `json:"go"`
	MemMiB  int64  `json:"memory_mib,omitempty"`
	Version string `json:"foresail"`
}

// NewResult is the result called name, of this build and machine; seed may be nil.
func NewResult(name string, seed *uint64, rows any) Result {
	return Result{Schema: "foresail.dev/" + name + "/v1", Commit: Commit(), Seed: seed, Machine: ThisMachine(), Rows: rows}
}

// Commit is the revision that the binary was built from, with "-dirty" when the tree had changes; empty when unknown.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + dirty
}

// Version is that of the module the binary was built from.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// String reads like "linux/amd64, 2 × AMD EPYC 7B13, 16 GiB, go1.26.0".
func (m machine) String() string {
	s := m.OS + "/" + m.Arch + ", "
	if m.CPU != "" {
		s += fmt.Sprintf("%d × %s", m.CPUs, m.CPU)
	} else {
		s += fmt.Sprintf("%d processors", m.CPUs)
	}
	if m.MemMiB > 0 {
		s += fmt.Sprintf(", %.0f GiB", float64(m.MemMiB)/1024)
	}
	return s + ", " + m.Go
}

// ThisMachine is what the program runs on.
func ThisMachine() machine {
	m := machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(), Version: Version()}
	m.CPU = fieldOf("/proc/cpuinfo", "model name")
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	var kib int64
	if _, err := fmt.Sscanf(fieldOf("/proc/meminfo", "MemTotal"), "%d kB", &kib); err == nil {
		m.MemMiB = kib / 1024
	}
	return m
}

// fieldOf reads the first "key : value" line of a file; empty when there is none.
func fieldOf(file, key string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// PrintJSON writes a result, indented.
func PrintJSON(w io.Writer, r Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// Table prints aligned columns; cells that were not observed are "—".
func Table(w io.Writer, head []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, strings.Join(head, "\t")+"\t")
	for _, r := range rows {
		for i := range r {
			r[i] = strings.Map(Printable, r[i])
		}
		fmt.Fprintln(tw, strings.Join(r, "\t")+"\t")
	}
	return tw.Flush()
}

// Printable replaces what would act on a terminal: names come from outside.
func Printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return unicode.ReplacementChar
	}
	return r
}

// Opt formats a value that may be absent.
func Opt[T any](format string, v *T) string {
	if v == nil {
		return "—"
	}
	return fmt.Sprintf(format, *v)
}
