package forecasting

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/evaluate"
	"foresail.dev/model/forecast/methods"
)

// Run evaluates. Its first fields are set before Do; Rows are what it found, in the order of the file.
type Run struct {
	File     File
	Series   []Series
	Workers  int                             // evaluations at once; 0: as many as there are processors
	Dir      string                          // that keeps each finished evaluation, and where those of the same program are found again; empty: nothing is kept
	Program  string                          // names the program
	Progress func(done float64, what string) // nil: nobody is told

	Rows  []Row
	Again int // rows that were found in Dir
}

// job is one row to come.
type job struct {
	series *Series
	method string
	n, m   int
}

func (j job) String() string {
	return fmt.Sprintf("%s/%s/n %d/m %d", j.series.Name, j.method, j.n, j.m)
}

func (r *Run) jobs() (all []job) {
	for i := range r.Series {
		s := &r.Series[i]
		for _, n := range s.N {
			for _, m := range s.M {
				for _, name := range s.Methods {
					all = append(all, job{s, name, n, m})
				}
			}
		}
	}
	return all
}

func (r *Run) workers() int {
	if r.Workers <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return r.Workers
}

// Do evaluates every method on every series. When ctx ends, what is finished stands in Rows and the error says so.
func (r *Run) Do(ctx context.Context) error {
	jobs := r.jobs()
	rows, errs := make([]*Row, len(jobs)), make([]error, len(jobs))
	next := make(chan int)
	var mu sync.Mutex
	done := 0
	var wg sync.WaitGroup
	for range min(r.workers(), len(jobs)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				row, again, err := r.one(ctx, jobs[i])
				mu.Lock()
				rows[i], errs[i] = row, err
				if done++; again {
					r.Again++
				}
				if r.Progress != nil {
					r.Progress(float64(done)/float64(len(jobs)), fmt.Sprintf("%d of %d evaluations, last %s", done, len(jobs), jobs[i]))
				}
				mu.Unlock()
			}
		}()
	}
	for i := range jobs {
		if ctx.Err() != nil {
			break
		}
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	for i, row := range rows {
		if row != nil {
			r.Rows = append(r.Rows, *row)
			errs = append(errs, r.draw(*row))
		}
		if errors.Is(errs[i], context.Canceled) {
			errs[i] = nil
		}
	}
	if ctx.Err() != nil {
		errs = append(errs, fmt.Errorf("stopped after %d of %d evaluations", len(r.Rows), len(jobs)))
	}
	return errors.Join(errs...)
}

// one evaluates, or finds what was evaluated before.
func (r *Run) one(ctx context.Context, j job) (row *Row, again bool, err error) {
	var path string
	if r.Dir != "" {
		path = filepath.Join(r.Dir, "runs", r.key(j)+".json")
		switch data, err := os.ReadFile(path); {
		case err == nil:
			var kept Row
			if json.Unmarshal(data, &kept) == nil && kept.Method == j.method {
				kept.Series = j.series.Name
				return &kept, true, nil
			}
		case !errors.Is(err, fs.ErrNotExist):
			return nil, false, err
		}
	}
	method, _ := methods.ByName(j.method)
	began := time.Now()
	trail := trail{most: trailSteps}
	res, err := evaluate.Run(method, evaluate.Case{Series: j.series.Series, Train: j.series.Train, N: j.n, M: j.m, Seed: r.File.Seed, Steps: r.File.Steps,
		Clock: func() time.Duration { return time.Since(began) }, Each: trail.add(j.series.Series)}, ctx.Err)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", j, err)
	}
	out := rowOf(j, res)
	out.Trail = trail.last()
	if path != "" {
		data, err := json.Marshal(out)
		if err == nil {
			err = writeFile(path, data)
		}
		if err != nil {
			return nil, false, err
		}
	}
	return &out, false, nil
}

// draw writes a row's picture.
func (r *Run) draw(w Row) error {
	if r.Dir == "" {
		return nil
	}
	png, err := PictureOf(w).PNG()
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(r.Dir, "plots", FileName(w)), png)
}

// key names all that a row hangs on.
func (r *Run) key(j job) string {
	h := sha256.New()
	fmt.Fprintln(h, r.Program, j.method, j.n, j.m, j.series.Train, r.File.Seed, r.File.Steps, j.series.Series.Start.UnixNano(), j.series.Series.Step)
	_ = binary.Write(h, binary.LittleEndian, j.series.Series.Values)
	return hex.EncodeToString(h.Sum(nil))[:24]
}

// writeFile writes a file whole or not at all.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(path+".part", data, 0o666); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// trailSteps is how many of the last steps a row keeps for plots.
const trailSteps = 240

// Trail is the last forecasts of an evaluation beside what came; NaN was not observed.
type Trail struct {
	Start    time.Time     `json:"start"`
	Step     time.Duration `json:"step_ns"`
	Observed []*float64    `json:"observed"`
	Mean     []float64     `json:"mean"`
	Low      []float64     `json:"low"` // of the 90 % interval
	High     []float64     `json:"high"`
}

type trail struct {
	most int
	t    Trail
}

func (t *trail) add(s forecast.Series) func(int, *forecast.Forecast, []float64) {
	return func(origin int, f *forecast.Forecast, observed []float64) {
		for k, v := range observed {
			x := &v
			if math.IsNaN(v) {
				x = nil
			}
			t.t.Observed = append(t.t.Observed, x)
			t.t.Mean = append(t.t.Mean, f.Mean[k])
			t.t.Low, t.t.High = append(t.t.Low, f.Quantile(0.05, k)), append(t.t.High, f.Quantile(0.95, k))
		}
		if n := len(t.t.Mean) - t.most; n > 4*t.most {
			t.cut(n)
		}
		t.t.Step, t.t.Start = s.Step, s.At(origin+len(observed)-len(t.t.Mean))
	}
}

func (t *trail) cut(n int) {
	t.t.Observed, t.t.Mean = append(t.t.Observed[:0], t.t.Observed[n:]...), append(t.t.Mean[:0], t.t.Mean[n:]...)
	t.t.Low, t.t.High = append(t.t.Low[:0], t.t.Low[n:]...), append(t.t.High[:0], t.t.High[n:]...)
}

func (t *trail) last() *Trail {
	if n := len(t.t.Mean) - t.most; n > 0 {
		t.cut(n)
		t.t.Start = t.t.Start.Add(time.Duration(n) * t.t.Step)
	}
	return &t.t
}
