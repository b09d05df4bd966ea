package partition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// schema names the format of undo records.
const schema = "foresail.dev/partition-undo/v1"

// record is what a file says: one place, what was there, and what was made of it. Exactly one of the kinds is set.
type record struct {
	Schema  string        `json:"schema"`
	Boot    string        `json:"boot"`         // of the machine's run, as the kernel names it
	At      time.Time     `json:"at"`           // when it was written, for people
	By      string        `json:"by,omitempty"` // who has permitted it, for people
	Cache   *cacheState   `json:"cache,omitempty"`
	Network *networkState `json:"network,omitempty"`
	Memory  *memoryState  `json:"memory,omitempty"`
}

func (k *Keeper) record(by string, st state) record {
	r := record{Schema: schema, Boot: k.boot, At: time.Now().UTC(), By: by}
	switch s := st.(type) {
	case *cacheState:
		r.Cache = s
	case *networkState:
		r.Network = s
	case *memoryState:
		r.Memory = s
	}
	return r
}

func (r *record) state() state {
	switch {
	case r.Cache != nil:
		return r.Cache
	case r.Network != nil:
		return r.Network
	}
	return r.Memory
}

// path is a place's file: the place may have any bytes, so its name is a hash.
func (k *Keeper) path(place string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(place))
	return filepath.Join(k.dir, fmt.Sprintf("%016x.undo.json", h.Sum64()))
}

func (k *Keeper) files() ([]string, error) {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return nil, fmt.Errorf("undo records of partitions: %w", err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".undo.json") {
			files = append(files, filepath.Join(k.dir, e.Name()))
		}
	}
	return files, nil
}

// save writes a record so that it is there whole, or as it was, whatever happens.
func save(path string, r record) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".undo-*")
	if err != nil {
		return err
	}
	_, e1 := f.Write(append(b, '\n'))
	e2 := f.Sync()
	e3 := f.Close()
	if err := errors.Join(e1, e2, e3); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

func forget(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func load(path string) (*record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: undo by hand what it tells of, then delete it", path, err)
	}
	return r, nil
}

// parse reads a record. What it lets through can be restored without a look at anything else.
func parse(b []byte) (*record, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var r record
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("no undo record: %w", err)
	}
	if r.Schema != schema {
		return nil, fmt.Errorf("schema %q is not %q", r.Schema, schema)
	}
	kinds := 0
	for _, there := range []bool{r.Cache != nil, r.Network != nil, r.Memory != nil} {
		if there {
			kinds++
		}
	}
	if kinds != 1 {
		return nil, fmt.Errorf("it is of %d kinds, not of one", kinds)
	}
	shares := r.state().shares()
	if len(shares) == 0 {
		return nil, errors.New("it has no share")
	}
	for i, s := range shares {
		if err := s.check(); err != nil {
			return nil, err
		}
		if s.place() != shares[0].place() {
			return nil, errors.New("its shares are of several places")
		}
		if slices.ContainsFunc(shares[:i], func(o Share) bool { return o.name() == s.name() }) {
			return nil, fmt.Errorf("it has the share %s twice", s.name())
		}
	}
	return &r, nil
}

// bootID names the machine's present run; empty where the kernel doesn't say, and then each run is taken for the same.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func joined(s []string) string { return strings.Join(s, ", ") }
