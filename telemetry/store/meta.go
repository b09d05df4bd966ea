package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"foresail.dev"
)

// Version is the version of the layout that this program writes, and the newest that it reads.
const Version = 1

// schema names the layout, in the file that marks a directory as a store.
const schema = "foresail.dev/history"

// Names in a store's directory.
const (
	metaFile    = "history.json"
	lockFile    = "lock"
	appsDir     = "applications"
	samplesDir  = "samples"
	minutesDir  = "minutes"
	sandboxGlob = "reading-*"
)

type meta struct {
	Schema      string `json:"schema"`
	Version     int    `json:"version"`
	Application string `json:"application,omitempty"` // empty before the first snapshot
}

// readMeta reads what marks a store.
func readMeta(dir string) (m meta, err error) {
	data, err := os.ReadFile(filepath.Join(dir, metaFile))
	if errors.Is(err, os.ErrNotExist) {
		return m, fmt.Errorf("%s: %w: there is no %s in it", dir, ErrNoStore, metaFile)
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil || m.Schema != schema {
		return m, fmt.Errorf("%s: %w: %s is not that of one", dir, ErrNoStore, metaFile)
	}
	if m.Version > Version || m.Version < 1 {
		return m, fmt.Errorf("%s: %w: it has version %d, and this program knows versions up to %d", dir, ErrVersion, m.Version, Version)
	}
	return m, nil
}

func writeMeta(dir string, m meta) error {
	return writeJSON(filepath.Join(dir, metaFile), m)
}

func writeJSON(name string, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return err
	}
	return writeFile(name, b.Bytes())
}

// createIn marks an empty directory, or one that is not there yet, as a store.
func createIn(dir string) (meta, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return meta{}, err
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return meta{}, err
	}
	for _, d := range list { // what an earlier try may have left
		if d.Name() != lockFile && d.Name() != metaFile+".tmp" {
			return meta{}, fmt.Errorf("%s: %w, and it is not empty: give another directory", dir, ErrNoStore)
		}
	}
	m := meta{Schema: schema, Version: Version}
	return m, writeMeta(dir, m)
}

// Application is what an application was from a time on.
type Application struct {
	Since time.Time     `json:"since"` // the start of the first snapshot of it
	App   *foresail.App `json:"application"`
}

// readApps reads all that a store was of, oldest first.
func readApps(dir string) (all []Application, err error) {
	list, err := os.ReadDir(filepath.Join(dir, appsDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, d := range list { // in the order of their names
		if !strings.HasSuffix(d.Name(), ".json") {
			continue
		}
		name := filepath.Join(dir, appsDir, d.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var a Application
		if err := json.Unmarshal(data, &a); err != nil || a.App == nil {
			return nil, fmt.Errorf("%s does not describe an application: %w", name, errors.Join(err, ErrNoStore))
		}
		all = append(all, a)
	}
	return all, nil
}

// writeApp adds what an application is from now on.
func writeApp(dir string, n int, a Application) error {
	if err := os.MkdirAll(filepath.Join(dir, appsDir), 0o755); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, appsDir, fmt.Sprintf("%06d.json", n)), a)
}

// sameApp reports whether two applications are written alike.
func sameApp(a, b *foresail.App) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
