package importing

import (
	"errors"
	"fmt"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/source"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/exemplar"
	"foresail.dev/telemetry/store/seal"
)

// sinks are where an import goes besides what it prints.
type sinks struct {
	history  *store.Store
	recorder *store.Recorder
	lost     error // why the first snapshot was not kept
	kept     int   // snapshots told to the history

	traces *exemplar.Store
	picker *exemplar.Picker
}

// errHistory ends an import whose history takes no more.
var errHistory = errors.New("the history does not take what is imported")

// open opens what the flags name and tells o.
func (in *Options) open(o *source.Options) (*sinks, error) {
	s := &sinks{}
	var key seal.Key
	if in.KeyFile != "" {
		var err error
		if key, err = seal.FindKey(in.KeyFile); err != nil {
			return nil, cli.Usagef("--key-file: %w", err)
		}
	}
	if in.History != "" {
		h, err := store.Open(in.History, store.Options{Key: key.Bytes()})
		if err != nil {
			return nil, cli.Usagef("--history: %w", err)
		}
		s.history = h
		s.recorder = store.NewRecorder(h, store.RecorderOptions{Hold: foresail.RevisionLimit, Wait: true, Trouble: func(err error, _ int) {
			if s.lost == nil {
				s.lost = err
			}
		}})
		o.Snapshots = func(app *foresail.App, snap *foresail.Snapshot) error {
			if refused, _ := s.recorder.Lost(); refused > 0 {
				return errHistory // why is known when the recorder has ended
			}
			s.kept++
			s.recorder.Observe(app, snap)
			return nil
		}
	}
	if in.Traces != "" {
		t, err := exemplar.Open(in.Traces, exemplar.Limits{Key: key})
		if err != nil {
			return nil, errors.Join(cli.Usagef("--traces: %w", err), s.close())
		}
		s.traces, s.picker = t, exemplar.NewPicker(t, in.Application, exemplar.Choice{Seed: in.Seed})
		o.Spans = s.picker.Add
	}
	return s, nil
}

// finish writes what is left, and says what did not get there.
func (s *sinks) finish() error {
	if s.picker != nil {
		if err := s.picker.Close(); err != nil {
			return err
		}
	}
	return s.endHistory()
}

// endHistory waits for the recorder, which may be told so again.
func (s *sinks) endHistory() error {
	if s.recorder == nil {
		return nil
	}
	s.recorder.Close()
	if refused, _ := s.recorder.Lost(); refused > 0 {
		return fmt.Errorf("%d snapshots are not in the history: %w", refused, s.lost)
	}
	return nil
}

// close closes what is open. After an error of the history it says why.
func (s *sinks) close() error {
	var errs []error
	if s.recorder != nil {
		errs = append(errs, s.endHistory(), s.history.Close())
		s.recorder = nil
	}
	if s.traces != nil {
		errs = append(errs, s.traces.Close())
	}
	return errors.Join(errs...)
}
