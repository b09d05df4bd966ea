package loop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"foresail.dev"
)

// Store keeps a manager's state over restarts of the loop.
type Store interface {
	// Load returns what Save kept last; nil when there is nothing.
	Load() ([]byte, error)
	// Save keeps the state, whole or not at all.
	Save([]byte) error
}

// File is a Store in a file, written beside it and renamed, so that a crash leaves the old or the new one.
type File string

// Load reads the file; nil when there is none.
func (f File) Load() ([]byte, error) {
	file, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxState+1))
	if err == nil && len(b) > maxState {
		err = fmt.Errorf("%s is longer than %d bytes: it is no state", f, maxState)
	}
	return b, err
}

// maxState is more than any manager keeps.
const maxState = 64 << 20

// Check tells whether the file could be kept where it is meant to be, before anything depends on it.
func (f File) Check() error {
	tmp, err := os.CreateTemp(filepath.Dir(string(f)), filepath.Base(string(f))+".*.tmp")
	if err != nil {
		return err
	}
	return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
}

// Save replaces the file.
func (f File) Save(b []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(string(f)), filepath.Base(string(f))+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(b); err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), string(f))
	}
	return err
}

// envelope says whose state it is: another manager's is left alone.
type envelope struct {
	Application string `json:"application"`
	Manager     string `json:"manager"`
	State       []byte `json:"state"`
}

// restore gives the manager the state that was kept. What can't be used is told, and the manager starts anew.
func (r *runner) restore() {
	m, ok := r.manager.(foresail.Stateful)
	if !ok || r.o.State == nil {
		return
	}
	b, err := r.o.State.Load()
	if err != nil {
		r.trouble(fmt.Errorf("reading the state of %s: %w; it starts without", r.manager.Name(), err))
		return
	}
	if len(b) == 0 {
		return
	}
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		r.trouble(fmt.Errorf("reading the state of %s: %w; it starts without", r.manager.Name(), err))
		return
	}
	if e.Application != r.app.Name || e.Manager != r.manager.Name() {
		r.trouble(fmt.Errorf("the kept state is of %s for %s, not of %s for %s; it starts without",
			e.Manager, e.Application, r.manager.Name(), r.app.Name))
		return
	}
	if err := m.Restore(e.State); err != nil {
		r.trouble(fmt.Errorf("restoring the state of %s: %w; it starts without", r.manager.Name(), err))
	}
}

// save keeps the manager's state. A full disk is told and nothing more: the application is still managed.
func (r *runner) save() {
	m, ok := r.manager.(foresail.Stateful)
	if !ok || r.o.State == nil || r.o.Mode == Observe {
		return
	}
	b, err := m.Save()
	if err == nil {
		b, err = json.Marshal(envelope{r.app.Name, r.manager.Name(), b})
	}
	if err == nil {
		err = r.o.State.Save(b)
	}
	if err != nil {
		r.trouble(fmt.Errorf("keeping the state of %s: %w", r.manager.Name(), err))
	}
}

// handOver keeps the state of the manager that goes, and gives it to the one that comes when it is of the same kind: a
// model that was trained anew must not forget what the guard around it knows.
func (r *runner) handOver(to foresail.Manager) {
	r.save()
	was, ok := r.manager.(foresail.Stateful)
	is, ok2 := to.(foresail.Stateful)
	if !ok || !ok2 || r.manager.Name() != to.Name() {
		return
	}
	b, err := was.Save()
	if err == nil {
		err = is.Restore(b)
	}
	if err != nil {
		r.trouble(fmt.Errorf("handing the state of %s over: %w; it starts without", to.Name(), err))
	}
}
