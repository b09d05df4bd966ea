package neural

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev/ml"
	"foresail.dev/ml/nn"
	"foresail.dev/model/forecast"
)

// saved is what of a model is kept beside its weights.
type saved struct {
	Version   int        `json:"version"`
	Method    string     `json:"method"`
	N         int        `json:"n"`
	M         int        `json:"m"`
	Floor     float64    `json:"floor"` // see scaling
	Spread    float64    `json:"spread"`
	Levels    []float64  `json:"levels"`
	Seed      uint64     `json:"seed"`
	Residuals []float64  `json:"residuals,omitempty"`
	Lacking   string     `json:"lacking,omitempty"`
	Start     time.Time  `json:"start"` // of the last steps that were seen
	Step      int64      `json:"step"`  // ns
	Past      []*float64 `json:"past"`  // null: not observed
	Weights   []byte     `json:"weights,omitempty"`
}

const savedVersion = 1

// Limits on what UnmarshalBinary builds.
const (
	maxSteps = 10_000 // that a network sees or predicts
	maxPast  = maxSteps
)

// Kind is what a model file of a method is called.
func (m Method) Kind() string { return "forecast/" + m.kind.name }

// Schema is the features of every method, for a model file.
func Schema() []ml.Feature {
	return []ml.Feature{{Name: "load"}, {Name: "minute"}, {Name: "hour"}, {Name: "weekday"}}
}

// MarshalBinary implements encoding.BinaryMarshaler. The payload is one JSON object; its weights are as nn.Save writes them.
func (w *Model) MarshalBinary() ([]byte, error) {
	s := saved{Version: savedVersion, Method: w.kind.name, N: w.n, M: w.m, Floor: w.floor, Spread: w.spread, Levels: w.levels,
		Seed: w.seed, Residuals: w.residuals, Lacking: w.lacking, Start: w.past.Start.UTC(), Step: int64(w.past.Step)}
	for i := range w.past.Values {
		v := &w.past.Values[i]
		if math.IsNaN(*v) {
			v = nil
		}
		s.Past = append(s.Past, v)
	}
	if w.trained() {
		var err error
		if s.Weights, err = nn.Save[float32](w.params, nil, nil); err != nil {
			return nil, err
		}
	}
	return json.Marshal(s)
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. On an error the model stays as it was.
func (w *Model) UnmarshalBinary(data []byte) error {
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("forecast model: %w", err)
	}
	if s.Version != savedVersion {
		return fmt.Errorf("forecast model of version %d, and this program reads %d: use the program that wrote it, or train again", s.Version, savedVersion)
	}
	at := slices.IndexFunc(kinds, func(k kind) bool { return k.name == s.Method })
	if at < 0 {
		return fmt.Errorf("forecast model of the method %q, which this program does not know: use the program that wrote it, or train again", s.Method)
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("forecast model of %s: %w: train again", s.Method, err)
	}
	m := Model{scaling: scaling{s.Floor, s.Spread}, kind: kinds[at], n: s.N, m: s.M, levels: s.Levels, seed: s.Seed,
		residuals: s.Residuals, lacking: s.Lacking, past: forecast.Series{Start: s.Start, Step: time.Duration(s.Step)}}
	for _, v := range s.Past {
		if v == nil {
			m.past.Values = append(m.past.Values, math.NaN())
		} else {
			m.past.Values = append(m.past.Values, *v)
		}
	}
	if s.Lacking == "" {
		m.keep(nil)
		if err := nn.Restore[float32](s.Weights, m.params, nil, nil); err != nil {
			return fmt.Errorf("forecast model of %s: %w: train again", s.Method, err)
		}
	}
	*w = m
	return nil
}

func (s *saved) check() error {
	plain := s.Method == Seq2Seq.Name() && s.Lacking == ""
	switch {
	case s.N < 1 || s.N > maxSteps || s.M < 1 || s.M > maxSteps:
		return fmt.Errorf("it sees %d steps and predicts %d", s.N, s.M)
	case !(s.Floor > 0) || !(s.Spread > 0):
		return fmt.Errorf("its loads are scaled by %v and %v", s.Floor, s.Spread)
	case len(s.Levels) == 0 || !slices.IsSorted(s.Levels) || s.Levels[0] <= 0 || s.Levels[len(s.Levels)-1] >= 1:
		return fmt.Errorf("its quantiles are %v", s.Levels)
	case plain != (len(s.Residuals) > 0) || slices.ContainsFunc(s.Residuals, func(r float64) bool { return !(r >= 0) }):
		return fmt.Errorf("its residuals are %v", s.Residuals)
	case s.Step <= 0 || len(s.Past) > maxPast:
		return fmt.Errorf("it saw %d steps of %v", len(s.Past), time.Duration(s.Step))
	}
	return nil
}
