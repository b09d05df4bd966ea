// Package tracing keeps exemplar traces of a run, and shows those that were kept.
package tracing

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/loop"
	"foresail.dev/telemetry/store/exemplar"
	"foresail.dev/telemetry/store/seal"
)

// Config is traces of foresail.yaml: which requests' traces are kept, and where.
type Config struct {
	Dir      string        `yaml:"dir"` // empty: none are kept
	Slowest  int           `yaml:"slowest" rule:"min=0,max=1000"`
	Random   int           `yaml:"random" rule:"min=0,max=1000"`
	Wait     time.Duration `yaml:"wait" rule:"min=1s,max=10m"`
	MaxSize  appfile.Bytes `yaml:"max_size" rule:"min=64KiB,max=16TiB"`
	MaxAge   time.Duration `yaml:"max_age" rule:"min=1h"`
	Compress string        `yaml:"compress" rule:"oneof=gzip|zstd|none"`
	KeyFile  string        `yaml:"key_file"` // empty: not encrypted
}

// Default is what a file leaves out.
var Default = Config{Slowest: 5, Random: 5, Wait: 10 * time.Second, MaxSize: 256 << 20, MaxAge: 15 * 24 * time.Hour, Compress: "gzip"}

// In makes names of files those relative to a directory.
func (c *Config) In(dir string) {
	for _, name := range []*string{&c.Dir, &c.KeyFile} {
		if *name != "" && !filepath.IsAbs(*name) && !strings.HasPrefix(*name, seal.EnvPrefix) {
			*name = filepath.Join(dir, *name)
		}
	}
}

// ReadKey reads a key file, or the environment's; no name: none.
func ReadKey(name string) (seal.Key, error) {
	if name == "" {
		return seal.Key{}, nil
	}
	key, err := seal.FindKey(name)
	if err != nil {
		return key, cli.Usage(err)
	}
	return key, nil
}

// Recording keeps exemplar traces of a run. A nil one keeps none.
type Recording struct {
	store    *exemplar.Store
	recorder *exemplar.Recorder
	now      atomic.Int64 // of a simulation; 0: the wall clock's
}

// Start opens the store and starts recording; nil where no folder is named. A simulation's spans are in its own time, which
// begins at the given one.
func (c *Config) Start(app string, seed uint64, simulated time.Time, trouble io.Writer) (*Recording, error) {
	if c.Dir == "" {
		return nil, nil
	}
	key, err := ReadKey(c.KeyFile)
	if err != nil {
		return nil, err
	}
	s, err := exemplar.Open(c.Dir, exemplar.Limits{MaxBytes: int64(c.MaxSize), MaxAge: c.MaxAge, Compress: c.Compress, Key: key})
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("traces: %w", err))
	}
	t := &Recording{store: s}
	o := exemplar.Recording{Choice: exemplar.Choice{Slowest: none(c.Slowest), Random: none(c.Random), Seed: seed}, Wait: c.Wait,
		Trouble: func(err error) { fmt.Fprintf(trouble, "exemplar traces are not kept: %v\n", err) }}
	if !simulated.IsZero() {
		t.now.Store(simulated.UnixNano())
		o.Now = func() time.Time { return time.Unix(0, t.now.Load()) }
	}
	t.recorder = exemplar.NewRecorder(s, app, o)
	return t, nil
}

// none is how a Choice says that there are to be none.
func none(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// Spans are taken by what Start returned; nil where nothing is kept.
func (t *Recording) Spans() func([]foresail.Span) {
	if t == nil {
		return nil
	}
	return t.recorder.Add
}

// Events move a simulation's time.
func (t *Recording) Events() loop.Events {
	if t == nil || t.now.Load() == 0 {
		return loop.Events{}
	}
	return loop.Events{Observed: func(_ *foresail.History, s *foresail.Snapshot) { t.now.Store(s.End.UnixNano()) }}
}

// Close writes what is left, after the last span, and says in a line what was not kept.
func (t *Recording) Close(w io.Writer) error {
	if t == nil {
		return nil
	}
	t.recorder.Close()
	if s := t.recorder.Stats(); s.Refused+s.Crowded+s.Unkept > 0 {
		fmt.Fprintf(w, "exemplar traces: %d spans found no room, %d were beyond what one trace may have, %d traces could not be written\n", s.Refused, s.Crowded, s.Unkept)
	}
	return t.store.Close()
}

// Both tells two what one is told; either may be nil. Only the second may keep the spans.
func Both(a, b func([]foresail.Span)) func([]foresail.Span) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(s []foresail.Span) { a(s); b(s) }
}
