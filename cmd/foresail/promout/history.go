package promout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"foresail.dev"
	"foresail.dev/access"
	"foresail.dev/loop"
	"foresail.dev/telemetry/prom/export"
	"foresail.dev/telemetry/prom/write"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/remote"
)

// RemoteHistory is "remote_history" of foresail.yaml: a Prometheus, Mimir, Thanos or VictoriaMetrics that snapshots are kept in.
type RemoteHistory struct {
	WriteURL   string        `yaml:"write_url"` // of remote write; empty: nothing is written
	URL        string        `yaml:"url"`       // that answers PromQL; empty: nothing is read
	Name       string        `yaml:"name"`      // tells one history from another in the same cluster
	Every      time.Duration `yaml:"every" rule:"max=1h"`
	Since      time.Duration `yaml:"since" rule:"min=1h,max=87600h"` // how far back the oldest is looked for
	Protocol   string        `yaml:"protocol" rule:"oneof=auto|2.0|1.0"`
	Histograms string        `yaml:"histograms" rule:"oneof=native|classic"`
	LetIn
}

// DefaultRemote is no remote history, and what it would be like.
func DefaultRemote() RemoteHistory {
	return RemoteHistory{Name: "main", Every: time.Second, Since: 90 * 24 * time.Hour}
}

func (c *RemoteHistory) check(dir string) error {
	c.In(dir)
	if c.WriteURL == "" && c.URL == "" {
		return nil
	}
	cfg, err := c.Config(&foresail.App{})
	if err == nil && c.WriteURL != "" {
		_, err = write.New(cfg.Write)
	}
	if err == nil && c.URL != "" {
		cfg.Write.URL = ""
		_, err = write.New(write.Config{URL: c.URL}) // the rules for both are the same
	}
	return err
}

// Config is how the history of an application is opened.
func (c *RemoteHistory) Config(app *foresail.App) (remote.Config, error) {
	if err := errors.Join(noPassword(c.WriteURL), noPassword(c.URL)); err != nil {
		return remote.Config{}, err
	}
	hc, err := c.HTTP()
	if err != nil {
		return remote.Config{}, err
	}
	return remote.Config{App: app, Name: c.Name, URL: c.URL, Client: hc, Headers: access.Revealed(c.Headers), Since: c.Since,
		Write: write.Config{URL: c.WriteURL, Protocol: write.Protocol(c.Protocol), Histograms: write.Histograms(c.Histograms), Client: hc, Headers: access.Revealed(c.Headers)}}, nil
}

// Keeping is a history elsewhere that a run fills. A nil one does nothing.
type Keeping struct {
	history  *remote.History
	recorder *store.Recorder // nil: nothing is written
	err      io.Writer
	began    time.Time
}

// Keep begins to fill the remote history of a run; nil where there is none. A server that can't be reached is told, and is no reason
// not to manage: then the run begins without a past, and what it observes is sent once the server is there.
func (c *RemoteHistory) Keep(ctx context.Context, app *foresail.App, late bool, errors io.Writer) *Keeping {
	if c.WriteURL == "" && c.URL == "" {
		return nil
	}
	tell := func(err error) { fmt.Fprintln(errors, err) }
	cfg, err := c.Config(app)
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
	k := &Keeping{history: h, err: errors, began: time.Now().UTC()}
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

// Readable reports whether there is a past to begin with.
func (k *Keeping) Readable() bool { return k != nil }

// Past is the history, and when the run began.
func (k *Keeping) Past() (store.History, time.Time) { return k.history, k.began }

// Events put what is observed into the history.
func (k *Keeping) Events() loop.Events {
	if k == nil || k.recorder == nil {
		return loop.Events{}
	}
	return loop.Events{Observed: func(h *foresail.History, s *foresail.Snapshot) { k.recorder.Observe(h.App(), s) }}
}

// Close sends what is held, for as long as the end of a run may wait, and says what was lost.
func (k *Keeping) Close() {
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

// Lost tells /metrics what a history does not have; name is the history's.
func Lost(name string, lost func() (refused, dropped int)) export.Source {
	return func(emit func(string, float64, ...string)) {
		refused, dropped := lost()
		emit("foresail_history_lost_snapshots_total", float64(refused), name, "refused")
		emit("foresail_history_lost_snapshots_total", float64(dropped), name, "dropped")
	}
}

// Lost counts the snapshots that the history does not have; ok is false where none are written.
func (k *Keeping) Lost() (lost func() (refused, dropped int), ok bool) {
	if k == nil || k.recorder == nil {
		return nil, false
	}
	return k.recorder.Lost, true
}
