package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/telemetry/source"
)

func newImport() *cobra.Command {
	c := &cobra.Command{
		Use: "import", Short: "Reads outside data, prints what is in it, and puts it into a history", Args: noArgs,
		Long: `Reads outside data, prints the services, the calls between them and the endpoints that are in it, and with --history
puts it into a history on disk. Files may be compressed (gzip, zstd) or in tar archives; "-" is standard input. Each format
is told in docs/formats/import.md.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, f := range importFormats() {
		c.AddCommand(newImporter(f))
	}
	return c
}

// importFormat is one kind of outside data.
type importFormat struct {
	name, short, long, example string
	what                       string // what its files are, for an error
	match                      func(name string) bool
	interval                   time.Duration // of snapshots, unless a flag says otherwise; 0: the data's own
	flags                      func(c *cobra.Command, in *importer)
	// start gives what reads one file, and what is called after the last.
	start func(c *source.Collector, in *importer) (file func(name string, r io.Reader) error, finish func() error)
}

// importer is one import, as its flags say.
type importer struct {
	json                         bool
	history, traces, application string
	interval                     time.Duration
	seed                         uint64
	alibaba                      alibabaFlags
}

func newImporter(f importFormat) *cobra.Command {
	in := &importer{}
	c := &cobra.Command{
		Use: f.name + " FILE|FOLDER...", Short: f.short, Long: f.long, Example: f.example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("give one file of %s or more, or - for standard input", f.what)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return in.run(c, f, args) },
	}
	fl := c.Flags()
	fl.BoolVar(&in.json, "json", false, "print the result as JSON")
	fl.StringVar(&in.history, "history", "", "write snapshots into the history in this folder")
	fl.StringVar(&in.application, "application", f.name, "name of the application in a history")
	if f.interval > 0 {
		fl.DurationVar(&in.interval, "interval", f.interval, "length of a snapshot made of spans")
		fl.StringVar(&in.traces, "traces", "", "write exemplar traces into this folder: of each minute the slowest five and a random five")
		fl.Uint64Var(&in.seed, "seed", 1, "seed of the random choice of traces")
	}
	if f.flags != nil {
		f.flags(c, in)
	}
	return c
}

func (in *importer) run(c *cobra.Command, f importFormat, paths []string) (err error) {
	if f.interval > 0 && (in.interval < 100*time.Millisecond || in.interval > time.Hour) {
		return usagef("--interval %v: give a time from 100ms to 1h", in.interval)
	}
	o := source.Options{Name: in.application, Interval: in.interval}
	sinks, err := in.open(&o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sinks.close()) }()
	collector := source.NewCollector(o)
	file, finish := f.start(collector, in)
	progress := newProgress(c.ErrOrStderr())
	read := func(name string, r io.Reader) error {
		if collector.Faults().File = name; name == paths[0] {
			collector.Faults().File = "" // the only one
		}
		if err := file(name, &tracked{r: r, name: name, progress: progress}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	err = source.Walk(paths, c.InOrStdin(), f.match, read)
	progress.end()
	if err != nil {
		return importError(err)
	}
	if err := finish(); err != nil {
		return err
	}
	sum, err := collector.Finish()
	if err != nil {
		return err
	}
	if err := sinks.finish(); err != nil {
		return err
	}
	if in.json {
		r := newResult("import", nil, append([]source.Row{}, sum.Rows()...)) // a list, also when empty
		r.Detail = detailOf(sum, sinks)
		return printJSON(c.OutOrStdout(), r)
	}
	return printImport(c.OutOrStdout(), sum, sinks)
}

// importError marks a file that can't be opened as one of usage.
func importError(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return usage(err)
	}
	return err
}

// tracked shows how far reading is, on a terminal.
type tracked struct {
	r        io.Reader
	name     string
	progress *progress
	n        int64
}

func (t *tracked) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.n += int64(n)
	t.progress.at(0, fmt.Sprintf("%s: %d MB", t.name, t.n/1e6))
	return n, err
}
