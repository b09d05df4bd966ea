package sequence

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"foresail.dev/compare"
	"foresail.dev/model/latency"
)

// revision grows when samples of the same file become others.
const revision = 1

// chunk is how many samples a file keeps.
const chunk = 50

// store keeps samples and what was trained in a folder; the zero value keeps nothing. What another build of the program made is
// used again where any is true, and where none is, nothing.
type store struct {
	dir, program string
	any, none    bool
}

// ours is whether what a program made is used again.
func (s store) ours(program string) bool { return !s.none && (s.any || program == s.program) }

// key names the samples of a step: all that they hang on.
func (c *Config) key(step int, seed uint64, requests int) (string, error) {
	d, h := c.deployments[step], sha256.New()
	e := json.NewEncoder(h)
	for _, v := range []any{revision, seed, c.Name, step, requests, d.bp, d.Kinds, d.Instances, d.nominal, c.loads[step], d.columns()} {
		if err := e.Encode(v); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

func (s store) path(key string, at int) string {
	return filepath.Join(s.dir, "samples", fmt.Sprintf("%s-%d.gob.gz", key, at))
}

// load reads a chunk; nil where there is none, or none that can be read: it is made again.
func (s store) load(key string, at, columns int) [][]float64 {
	if s.dir == "" {
		return nil
	}
	b, err := os.ReadFile(s.path(key, at))
	if err != nil {
		return nil
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil || !s.ours(z.Comment) {
		return nil
	}
	var rows [][]float64
	if gob.NewDecoder(z).Decode(&rows) != nil || len(rows) != chunk {
		return nil
	}
	for _, r := range rows {
		if len(r) != columns {
			return nil
		}
	}
	return rows
}

func (s store) save(key string, at int, rows [][]float64) error {
	if s.dir == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "samples"), 0o777); err != nil {
		return err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Comment = s.program
	if err := errors.Join(gob.NewEncoder(z).Encode(rows), z.Close()); err != nil {
		return err
	}
	return compare.WriteFile(s.path(key, at), b.Bytes())
}

// samples are so many samples of a step, from the first on: kept ones, and the rest made now, as many at once as there are workers.
func (c *Config) samples(ctx context.Context, s store, step, n, requests, workers int, seed uint64, told func(done int)) (*latency.Table, error) {
	key, err := c.key(step, seed, requests)
	if err != nil {
		return nil, err
	}
	d := c.deployments[step]
	names := d.columns()
	chunks := make([][][]float64, (n+chunk-1)/chunk)
	var missing []int
	for i := range chunks {
		if chunks[i] = s.load(key, i, len(names)); chunks[i] == nil {
			missing = append(missing, i)
			chunks[i] = make([][]float64, chunk)
		}
	}
	var done atomic.Int64
	done.Store(int64((len(chunks) - len(missing)) * chunk))
	told(int(done.Load()))
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	for _, at := range missing {
		var next atomic.Int64
		var wg sync.WaitGroup
		errs := make([]error, workers)
		for w := range workers {
			wg.Go(func() {
				for errs[w] == nil {
					i := int(next.Add(1)) - 1
					if i >= chunk {
						return
					}
					index := at*chunk + i
					chunks[at][i], errs[w] = d.sample(ctx, c.loads[step], requests, source(seed, index, c.Name, fmt.Sprint(step)))
					if errs[w] == nil {
						told(int(done.Add(1)))
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		if err := s.save(key, at, chunks[at]); err != nil {
			return nil, err
		}
	}
	cols := make([][]float64, len(names))
	for k := range cols {
		cols[k] = make([]float64, n)
		for i := range n {
			cols[k][i] = chunks[i/chunk][i%chunk][k]
		}
	}
	return latency.NewTable(names, cols)
}
