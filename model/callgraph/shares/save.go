package shares

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"

	"foresail.dev"
)

// saved is the state of a Predictor.
type saved struct {
	Version int                   `json:"version"`
	Forms   []savedForm           `json:"forms"`
	History [][]float64           `json:"history"` // requests by form
	Seen    int                   `json:"seen"`
	Novel   [2]float64            `json:"novel"` // shares and windows
	Trained map[string]savedModel `json:"trained,omitempty"`
}

type savedForm struct {
	Endpoint foresail.EndpointID `json:"endpoint"`
	Visits   []foresail.Visit    `json:"visits"`
}

type savedModel struct {
	At    int    `json:"at"`
	Model []byte `json:"model"`
}

const savedVersion = 1

// Save returns the state: forms, history and what Learn trained.
func (p *Predictor) Save() ([]byte, error) {
	s := saved{Version: savedVersion, Seen: p.seen, Novel: [2]float64{p.novel, p.windows}, Trained: map[string]savedModel{}}
	for _, f := range p.forms {
		s.Forms = append(s.Forms, savedForm{f.Endpoint, f.Visits})
	}
	for _, o := range p.history {
		s.History = append(s.History, o.counts)
	}
	for i, t := range p.trained {
		m, ok := t.model.(encoding.BinaryMarshaler)
		if !ok {
			continue
		}
		data, err := m.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.config.Methods[i].Name(), err)
		}
		s.Trained[p.config.Methods[i].Name()] = savedModel{t.at, data}
	}
	return json.Marshal(s)
}

// Restore replaces the state by what Save returned of a predictor of the same Config; on an error it is as it was.
func (p *Predictor) Restore(data []byte) error {
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("shares of call graphs: %w", err)
	}
	if s.Version != savedVersion {
		return fmt.Errorf("shares of call graphs: the state has version %d, known is %d", s.Version, savedVersion)
	}
	q := &Predictor{config: p.config, quick: p.quick, trained: make([]learnt, len(p.config.Methods)), seen: s.Seen, novel: s.Novel[0], windows: s.Novel[1]}
	for i, f := range s.Forms {
		form, err := foresail.NewForm(f.Endpoint, f.Visits)
		if err != nil {
			return fmt.Errorf("shares of call graphs: form %d: %w", i, err)
		}
		if i > 0 && form.Key() <= q.forms[i-1].Key() {
			return fmt.Errorf("shares of call graphs: form %d is not in the order of keys", i)
		}
		q.forms = append(q.forms, form)
	}
	if len(s.History) > s.Seen || len(s.History) > p.config.Windows+p.config.Windows/4 || q.novel < 0 || q.windows < 0 {
		return errors.New("shares of call graphs: the history is longer than what can have been kept, or what is new is negative")
	}
	for i, counts := range s.History {
		if len(counts) != len(q.forms) {
			return fmt.Errorf("shares of call graphs: window %d has %d counts for %d forms", i, len(counts), len(q.forms))
		}
		total := 0.0
		for _, n := range counts {
			if n < 0 || n > mostRequests {
				return fmt.Errorf("shares of call graphs: window %d has %v requests of a form", i, n)
			}
			total += n
		}
		if total == 0 {
			return fmt.Errorf("shares of call graphs: window %d has no requests", i)
		}
		q.history = append(q.history, observed{counts, s.Seen - len(s.History) + i})
	}
	for i, m := range p.config.Methods {
		slow, ok := m.(Slow)
		if t, kept := s.Trained[m.Name()]; ok && kept {
			model, err := slow.Load(t.Model)
			if err != nil {
				return fmt.Errorf("shares of call graphs: %w", err)
			}
			q.trained[i] = learnt{model, t.At}
		}
	}
	if len(q.history) > 0 {
		q.rebuild()
	}
	*p = *q
	return nil
}
