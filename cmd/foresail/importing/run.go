package importing

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/alibaba"
	"foresail.dev/telemetry/source"
)

// Options are what an import's flags say.
type Options struct {
	History     string        // a history's folder; empty: none is written
	Traces      string        // exemplar traces' folder, likewise
	KeyFile     string        // with the key that encrypts both, or env:NAME; empty: they are not encrypted
	Application string        // its name in both
	Interval    time.Duration // of snapshots made of spans
	Seed        uint64        // of the choice of traces
	Alibaba     alibaba.Options
	// Each is told every snapshot besides; nil: nobody is.
	Each func(*foresail.App, *foresail.Snapshot) error
}

// Result is what an import found and did.
type Result struct {
	Summary *source.Summary
	Detail  Detail
}

// Run imports files and folders; at is told how much was read of which, and may be nil.
func (f *Format) Run(in Options, paths []string, stdin io.Reader, at func(name string, bytes int64)) (res *Result, err error) {
	if f.Interval > 0 && (in.Interval < 100*time.Millisecond || in.Interval > time.Hour) {
		return nil, cli.Usagef("--interval %v: give a time from 100ms to 1h", in.Interval)
	}
	o := source.Options{Name: in.Application, Interval: in.Interval, Services: f.services}
	s, err := in.open(&o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if keep := o.Snapshots; in.Each != nil {
		o.Snapshots = func(app *foresail.App, snap *foresail.Snapshot) error {
			if err := in.Each(app, snap); err != nil || keep == nil {
				return err
			}
			return keep(app, snap)
		}
	}
	collector := source.NewCollector(o)
	file, finish := f.start(collector, &in)
	err = source.Walk(paths, stdin, f.match, func(name string, r io.Reader) error {
		collector.Faults().File = name
		if name == paths[0] {
			collector.Faults().File = "" // the only one
		}
		if at != nil {
			r = &tracked{r: r, name: name, at: at}
		}
		if err := file(r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, cli.Usage(err)
	}
	if err == nil {
		err = finish()
	}
	if err != nil {
		return nil, err
	}
	sum, err := collector.Finish()
	if err == nil {
		err = s.finish()
	}
	if err != nil {
		return nil, err
	}
	return &Result{Summary: sum, Detail: detailOf(sum, s)}, nil
}

// tracked tells how much was read.
type tracked struct {
	r    io.Reader
	name string
	at   func(string, int64)
	n    int64
}

func (t *tracked) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.n += int64(n)
	t.at(t.name, t.n)
	return n, err
}
