package training

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	"foresail.dev/ml"
	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/methods"
	"foresail.dev/model/forecast/neural"
)

// Start is what a model's training starts from.
type Start string

// The starts there are.
const (
	Shared  Start = "shared"  // one model that was trained on a sample of all services
	Stored  Start = "stored"  // the newest model of the service that was trained on less; where there is none, the shared one
	Scratch Start = "scratch" // random weights
)

// Starts lists them.
var Starts = []Start{Shared, Stored, Scratch}

// Settings say what is trained and how. All of it changes models.
type Settings struct {
	Application string
	Method      neural.Method
	N, M        int
	Start       Start
	Steps       int // of a service's training; 0: the method's own, by what it starts from
	PoolSteps   int // of the shared model's
	PoolSize    int // services that it is trained on, at most
	Holdout     time.Duration
	Span        Span
	Seed        uint64
}

// MethodByName is a method that has something to train; the error says which there are.
func MethodByName(name string) (neural.Method, error) {
	var names []string
	for _, m := range methods.All() {
		trained, ok := m.(neural.Method)
		if ok && m.Name() == name {
			return trained, nil
		}
		if ok {
			names = append(names, m.Name())
		}
	}
	if _, known := methods.ByName(name); known {
		return neural.Method{}, fmt.Errorf("%s has nothing to train: it learns within milliseconds from what it sees; there are %s", name, strings.Join(names, ", "))
	}
	return neural.Method{}, fmt.Errorf("there is no method %q to train, but %s", name, strings.Join(names, ", "))
}

// Kind is what models of a method, a window and a horizon are kept under in a bucket.
func Kind(m neural.Method, n, steps int) string { return fmt.Sprintf("%s/n%d-m%d", m.Kind(), n, steps) }

// Kind is that of these settings.
func (s Settings) Kind() string { return Kind(s.Method, s.N, s.M) }

func (s Settings) lacking(history forecast.Series) string {
	return neural.Lacking(history, forecast.Options{N: s.N, M: s.M})
}

// steps of a service's training.
func (s Settings) steps(warm bool) int {
	switch {
	case s.Steps > 0:
		return s.Steps
	case warm:
		return neural.WarmSteps
	}
	return neural.FullSteps
}

func (s Settings) poolSteps() int {
	if s.PoolSteps > 0 {
		return s.PoolSteps
	}
	return neural.PoolSteps
}

// seedOf is a service's own, so that it does not hang on which others are trained beside it. The shared model's is that of no
// name.
func (s Settings) seedOf(service string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s", s.Seed, service)
	return h.Sum64()
}

// recipe changes whenever the same settings come to other models, so that those trained before are not taken for them.
const recipe = 1

// digest begins the sum of everything that a model hangs on.
func (s Settings) digest() hash.Hash {
	h := sha256.New()
	fmt.Fprintln(h, recipe, s.Kind(), s.Seed, s.Holdout)
	return h
}

func add(h hash.Hash, name string, series forecast.Series) {
	fmt.Fprintln(h, strconv.Quote(name), series.Start.UnixNano(), int64(series.Step), len(series.Values))
	b := make([]byte, 0, 8*len(series.Values))
	for _, v := range series.Values {
		if math.IsNaN(v) {
			v = math.NaN() // one of all there are
		}
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	h.Write(b)
}

// version names what a model was made of: the end of its data, so that versions stand in the order of time, and the sum.
func version(end time.Time, h hash.Hash) string {
	return stamp(end) + "-" + hex.EncodeToString(h.Sum(nil))[:16]
}

func stamp(end time.Time) string { return end.UTC().Format("20060102T150405Z") }

// header of a model file.
func (r *Run) header(series []forecast.Series, what string, seed uint64) ml.Header {
	h := ml.Header{Kind: r.Settings.Method.Kind(), Features: neural.Schema(),
		Trained: ml.Training{Source: what + " of " + r.Settings.Application + ", in " + r.Source.String(), Seed: seed, Commit: r.Commit}}
	for i, s := range series {
		h.Trained.Rows += s.Observed()
		if i == 0 || s.Start.Before(h.Trained.From) {
			h.Trained.From = s.Start.UTC()
		}
		if s.End().After(h.Trained.To) {
			h.Trained.To = s.End().UTC()
		}
	}
	return h
}
