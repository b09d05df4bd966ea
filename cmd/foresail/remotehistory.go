package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/telemetry/prom/write"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/remote"
)

// remoteHistory is "remote_history" of foresail.yaml: a Prometheus, Mimir, Thanos or VictoriaMetrics that snapshots are kept in.
type remoteHistory struct {
	WriteURL   string        `yaml:"write_url"` // of remote write; empty: nothing is written
	URL        string        `yaml:"url"`       // that answers PromQL; empty: nothing is read
	Name       string        `yaml:"name"`      // tells one history from another in the same cluster
	Every      time.Duration `yaml:"every" rule:"max=1h"`
	Since      time.Duration `yaml:"since" rule:"min=1h,max=87600h"` // how far back the oldest is looked for
	Protocol   string        `yaml:"protocol" rule:"oneof=auto|2.0|1.0"`
	Histograms string        `yaml:"histograms" rule:"oneof=native|classic"`
	letIn
}

func defaultRemote() remoteHistory {
	return remoteHistory{Name: "main", Every: time.Second, Since: 90 * 24 * time.Hour}
}

// check tries what can be tried without the server, and makes file names relative to the configuration's folder.
func (c *remoteHistory) check(path, dir string) error {
	c.in(dir)
	if c.WriteURL == "" && c.URL == "" {
		return nil
	}
	cfg, err := c.config(&foresail.App{})
	if err == nil && c.WriteURL != "" {
		_, err = write.New(cfg.Write)
	}
	if err == nil && c.URL != "" {
		cfg.Write.URL = ""
		_, err = write.New(write.Config{URL: c.URL}) // the rules for both are the same
	}
	if err != nil {
		return usagef("%s: remote_history: %w", path, err)
	}
	return nil
}

func (c *remoteHistory) config(app *foresail.App) (remote.Config, error) {
	if err := errors.Join(noPassword(c.WriteURL), noPassword(c.URL)); err != nil {
		return remote.Config{}, err
	}
	hc, err := c.http()
	if err != nil {
		return remote.Config{}, err
	}
	return remote.Config{App: app, Name: c.Name, URL: c.URL, Client: hc, Headers: c.Headers, Since: c.Since,
		Write: write.Config{URL: c.WriteURL, Protocol: write.Protocol(c.Protocol), Histograms: write.Histograms(c.Histograms), Client: hc, Headers: c.Headers}}, nil
}

// keepingAway is a history elsewhere that a run fills. A nil one does nothing.
type keepingAway struct {
	history  *remote.History
	recorder *store.Recorder // nil: nothing is written
	err      io.Writer
	began    time.Time
}

// keep begins to fill the remote history of a run; nil where there is none. A server that can't be reached is told, and is no reason
// not to manage: then the run begins without a past, and what it observes is sent once the server is there.
func (c *remoteHistory) keep(ctx context.Context, app *foresail.App, late bool, errors io.Writer) *keepingAway {
	if c.WriteURL == "" && c.URL == "" {
		return nil
	}
	tell := func(err error) { fmt.Fprintln(errors, err) }
	cfg, err := c.config(app)
	if err != nil { // a file has gone since it was checked
		tell(err)
		return nil
	}
	h, err := remote.Open(ctx, cfg)
	if err != nil {
		tell(fmt.Errorf("%w: the run begins without it", err))
		if cfg.URL = ""; c.WriteURL == "" {
			return nil
		}
		if h, err = remote.Open(ctx, cfg); err != nil {
			tell(err)
			return nil
		}
	}
	k := &keepingAway{history: h, err: errors, began: time.Now().UTC()}
	if c.WriteURL == "" {
		return k
	}
	o := store.RecorderOptions{Every: c.Every, Trouble: func(why error, lost int) {
		if why != nil {
			tell(why)
			return
		}
		fmt.Fprintf(errors, "remote history: snapshots are kept again; %d are lost\n", lost)
	}}
	if late {
		o.Hold = foresail.RevisionLimit
	}
	k.recorder = store.NewRecorder(h, o)
	return k
}

func (k *keepingAway) readable() bool { return k != nil }

func (k *keepingAway) past(needs foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
	return pastOf(k.history, k.began, needs)
}

func (k *keepingAway) events() loop.Events {
	if k == nil || k.recorder == nil {
		return loop.Events{}
	}
	return loop.Events{Observed: func(h *foresail.History, s *foresail.Snapshot) { k.recorder.Observe(h.App(), s) }}
}

// close sends what is held, for as long as the end of a run may wait, and says what was lost.
func (k *keepingAway) close() {
	if k == nil || k.recorder == nil {
		return
	}
	giveUp := time.AfterFunc(pushFlush, k.history.Cancel)
	k.recorder.Close()
	giveUp.Stop()
	if refused, dropped := k.recorder.Lost(); refused+dropped > 0 {
		fmt.Fprintf(k.err, "remote history: %d snapshots were refused by the server, and %d dropped since it was slow\n", refused, dropped)
	}
}

// readable is a history that commands read, wherever it is.
type readable interface {
	store.History
	App() *foresail.App
}

func (f *historyFlags) registerFile(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "file", "f", "", "a foresail.yaml, whose remote_history is read instead of a directory")
}

// where checks that one place to read from is given, and the other flags that a command needs.
func (f *historyFlags) where(others ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case !c.Flags().Changed("file"):
			return needs(append([]string{"dir"}, others...)...)(c, args)
		case c.Flags().Changed("dir"):
			return usagef("%s: --dir and --file name two places to read from: give one", c.CommandPath())
		}
		return needs(others...)(c, args)
	}
}

// anywhere opens the store, or the remote history of a configuration.
func (f *historyFlags) anywhere(c *cobra.Command) (readable, error) {
	if f.file == "" {
		return f.open(c)
	}
	cfg, err := readRunConfig(f.file)
	if err != nil {
		return nil, err
	}
	if cfg.Remote.URL == "" {
		return nil, usagef("%s: remote_history: url is missing: nothing says where to read from", f.file)
	}
	blueprint, _, err := readFiles(cfg.Application, cfg.Load)
	if err != nil {
		return nil, err
	}
	rc, err := cfg.Remote.config(blueprint.App)
	if err != nil {
		return nil, usage(err)
	}
	rc.Write.URL = ""
	return remote.Open(c.Context(), rc)
}
