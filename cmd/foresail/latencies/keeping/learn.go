package keeping

import (
	"fmt"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/latencies/repository"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/learner"
)

// Vertex is an assignment that was learnt.
type Vertex struct {
	Label   string  `json:"label"`
	ID      string  `json:"id,omitempty"` // empty: it is in no graph
	Inputs  int     `json:"inputs"`
	Learner string  `json:"learner,omitempty"`
	MAE     float64 `json:"mae_ms"`
	Skill   float64 `json:"skill"`
	Used    bool    `json:"used"`
	Fresh   bool    `json:"fresh"` // it was not in the repository before
}

// Learn composes a graph of what rows there are, and keeps it.
func Learn(r *Rows, learn learner.Config, skill float64, into *repository.Repository) (*latency.Graph, string, []Vertex, error) {
	cfg := compose.Default()
	cfg.Services, cfg.Target, cfg.Learn, cfg.Skill, cfg.Demand = r.Services, r.Target, learn, skill, false
	g, vertices, err := compose.Fit(cfg, r.Table)
	if err != nil {
		return nil, "", nil, fmt.Errorf("%s: %w", r.Source, err)
	}
	about := repository.About{Application: r.Application, Target: r.Target, Source: r.Source, From: r.From, To: r.To, Seed: learn.Seed, Commit: cli.Commit()}
	for _, v := range vertices {
		if !v.Used {
			continue
		}
		if v.Label == r.Target {
			about.Error = v.Error
		}
		a := g.Assignment(v.Label).Clone()
		a.Describe(r.Source, "", r.From, r.To)
		if err := g.Replace(a); err != nil {
			return nil, "", nil, err
		}
	}
	for service, n := range r.Instances {
		if g.Instances(service) > 0 {
			if err := g.Scale(service, n); err != nil {
				return nil, "", nil, err
			}
		}
	}
	id, fresh, err := into.Put(g, about)
	if err != nil {
		return nil, "", nil, err
	}
	return g, id, rowsOf(vertices, fresh), nil
}

func rowsOf(vertices []compose.Vertex, fresh []string) (out []Vertex) {
	is := map[string]bool{}
	for _, l := range fresh {
		is[l] = true
	}
	for _, v := range vertices {
		w := Vertex{Label: v.Label, Inputs: len(v.Inputs), MAE: cli.Round(v.Error * 1000), Skill: cli.Round(v.Skill), Used: v.Used, Fresh: is[v.Label]}
		if v.Used {
			w.Learner = v.Learner.Kind.String()
		}
		out = append(out, w)
	}
	return out
}
