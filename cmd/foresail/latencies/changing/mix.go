package changing

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/latencies/simulated"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
)

// Mix says how the mix of requests changes; see docs/formats/latency.md.
type Mix struct {
	Common `yaml:",inline"`
	Load   span               `yaml:"load"`
	Before map[string]float64 `yaml:"before" rule:"required"`
	After  map[string]float64 `yaml:"after" rule:"required"`
	Waver  float64            `yaml:"waver" rule:"min=0,max=2"`
	Train  int                `yaml:"train" rule:"min=20,max=5000"`
	Recent int                `yaml:"recent" rule:"min=20,max=5000"`
	Test   int                `yaml:"test" rule:"min=10,max=5000"`
	Fixes  int                `yaml:"fixes" rule:"min=1,max=100"`
	Repeat int                `yaml:"repeats" rule:"min=1,max=100"`
}

// Check asks for what can be simulated.
func (m *Mix) Check(at appfile.Place) {
	m.check(at)
	m.Load.check(at.At("load"))
}

func defaultMix() Mix {
	return Mix{Common: common("mix"), Load: span{100, 300}, Train: 100, Recent: 50, Test: 60, Fixes: 6, Repeat: 3}
}

// MixRow is one step: what debugging named, and what mending that alone does.
type MixRow struct {
	Method   string   `json:"method"` // debugging by correlation of errors, as the paper has it, or by intervention
	Repeat   int      `json:"repeat"`
	Step     int      `json:"step"`                 // 0: nothing is mended yet
	Service  string   `json:"service,omitempty"`    // the one that is named and mended
	Named    string   `json:"named,omitempty"`      // the vertex at which debugging stopped
	Rank     int      `json:"rank,omitempty"`       // of mending it, among mending any one that is left: 1 lowers the error most
	Of       int      `json:"of,omitempty"`         // that are left
	Best     string   `json:"best,omitempty"`       // the one of rank 1
	Gain     *float64 `json:"gain_share,omitempty"` // share of what mending the best would lower the error by
	Before   *float64 `json:"local_log_before"`     // mean over its metrics of the error by itself, with the true metrics of callees, at the mix before
	After    *float64 `json:"local_log_after"`      // the same at the mix after, before it is mended
	MAE      float64  `json:"mae_ms"`               // of the target, once it is mended
	Log      float64  `json:"mae_log"`              //
	ByError  *float64 `json:"by_error_mae_ms"`      // where the service whose vertices are off most is mended in each step instead
	ByChance *float64 `json:"by_chance_mae_ms"`     // a random one: mean of several orders
	BestMAE  *float64 `json:"by_best_mae_ms"`       // the one that lowers the error most, which nobody knows before
}

// MixDetail is what does not fit in rows.
type MixDetail struct {
	Services  []string              `json:"services"`
	Reference []map[string]float64  `json:"reference"` // by repeat: errors in ms of other models on the same rows
	Ways      map[string][][]string `json:"ways"`      // by method and repeat: what debugging went through
	Notes     []string              `json:"notes,omitempty"`
}

type progress func(done float64, what string)

// runs draws runs of one mix, whose shares waver.
func (m *Mix) runs(mix []float64, seed uint64, what string, n int) (out []simulated.Run) {
	for i := range n {
		s := seedOf(seed, what, i)
		r := rand.New(rand.NewPCG(s, 0x717))
		shares := slices.Clone(mix)
		for k := range shares {
			shares[k] *= math.Exp(m.Waver * r.NormFloat64())
		}
		out = append(out, simulated.Run{Rate: m.Load.From + r.Float64()*(m.Load.To-m.Load.From), Mix: shares, Seed: s})
	}
	return out
}

// Measure learns at one mix, changes it, and mends what debugging names.
func (m *Mix) Measure(ctx context.Context, dir string, tell progress) (rows []MixRow, d *MixDetail, err error) {
	maker, err := m.maker(dir)
	if err != nil {
		return nil, nil, cli.Usage(err)
	}
	before, err := shares(maker.Blueprint.App, m.Before)
	if err != nil {
		return nil, nil, cli.Usage(fmt.Errorf("before: %w", err))
	}
	after, err := shares(maker.Blueprint.App, m.After)
	if err != nil {
		return nil, nil, cli.Usage(fmt.Errorf("after: %w", err))
	}
	d = &MixDetail{Reference: []map[string]float64{}, Ways: map[string][][]string{}}
	for k := range m.Repeat {
		seed := m.Seed + uint64(k)
		part := func(share float64, what string) {
			tell((float64(k)+share)/float64(m.Repeat), fmt.Sprintf("repeat %d, %s", k+1, what))
		}
		total := 0
		make := func(mix []float64, what string, n int) (*simulated.Sample, error) {
			s, err := maker.Make(ctx, m.runs(mix, seed, what, n), func(i int) {
				part(0.5*float64(total+i)/float64(m.Train+m.Recent+2*m.Test), "simulating")
			})
			total += n
			return s, err
		}
		train, err1 := make(before, "train", m.Train)
		same, err2 := make(before, "same", m.Test)
		recent, err3 := make(after, "recent", m.Recent)
		test, err4 := make(after, "test", m.Test)
		for _, err := range []error{err1, err2, err3, err4} {
			if err != nil {
				return nil, nil, err
			}
		}
		one := &mixed{m: m, seed: seed, repeat: k + 1, part: part}
		if err := one.tables(maker, train, same, recent, test); err != nil {
			return nil, nil, err
		}
		more, err := one.measure(ctx, d)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, more...)
	}
	return rows, d, nil
}

// mixed is one repeat.
type mixed struct {
	m                         *Mix
	seed                      uint64
	repeat                    int
	services                  []compose.Service
	train, same, recent, test *latency.Table
	mended                    map[string]*latency.Assignment // by label: what is learnt of recent rows, once
	part                      func(float64, string)
	notes                     []string
}

func (x *mixed) tables(maker *simulated.Maker, samples ...*simulated.Sample) (err error) {
	if x.services, x.notes, err = maker.Services(x.m.Target, samples...); err != nil {
		return err
	}
	for i, to := range []**latency.Table{&x.train, &x.same, &x.recent, &x.test} {
		j, err := simulated.Join(samples[i])
		if err != nil {
			return err
		}
		t, _, lacking, err := j.Table(labels(x.services, x.m.Target))
		if err != nil {
			return err
		}
		if t.Rows() < 10 {
			return fmt.Errorf("of %d runs, %d lack a service's latency: lengthen the interval, or raise the load", t.Rows()+lacking, lacking)
		}
		*to = t
	}
	x.mended = map[string]*latency.Assignment{}
	return nil
}

func (x *mixed) measure(ctx context.Context, d *MixDetail) (rows []MixRow, err error) {
	g, _, err := x.m.fit(x.services, x.train, x.seed)
	if err != nil {
		return nil, err
	}
	left := x.parts(g)
	if d.Services == nil {
		d.Services, d.Notes = slices.Clone(left), x.notes
	}
	if err := x.references(g, d); err != nil {
		return nil, err
	}
	start, err := x.row(g)
	if err != nil {
		return nil, err
	}
	rows = []MixRow{start}
	byError, byBest, err := x.orders(ctx, g)
	if err != nil {
		return nil, err
	}
	byChance, err := x.chance(g)
	if err != nil {
		return nil, err
	}
	at := func(list []float64, step int) *float64 {
		if step < len(list) {
			v := cli.Round(list[step])
			return &v
		}
		return nil
	}
	all := rows[:0:0]
	for _, method := range methods {
		more, ways, err := x.debug(ctx, method, g, rows[0], slices.Clone(left))
		if err != nil {
			return nil, err
		}
		for i := range more {
			more[i].ByError, more[i].ByChance, more[i].BestMAE = at(byError, i), at(byChance, i), at(byBest, i)
		}
		all = append(all, more...)
		d.Ways[method] = append(d.Ways[method], ways)
	}
	return all, nil
}

// methods are the ways of debugging.
var methods = []string{"correlation", "intervention"}

// named is what a method of debugging names, and the labels on its way there.
func (x *mixed) named(method string, g *latency.Graph) (at string, way []string, err error) {
	if method == "correlation" {
		at, steps, err := g.Debug(x.m.Target, x.recent)
		for _, s := range steps {
			way = append(way, s.Label)
		}
		return at, way, err
	}
	at, steps, err := g.Blame(x.m.Target, x.recent)
	for _, s := range steps {
		way = append(way, s.Label)
	}
	return at, way, err
}

// debug mends what a method names, step by step, until all on its way are mended.
func (x *mixed) debug(ctx context.Context, method string, g *latency.Graph, start MixRow, left []string) (rows []MixRow, ways []string, err error) {
	start.Method = method
	rows = []MixRow{start}
	for step := 1; step <= x.m.Fixes && len(left) > 0; step++ {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		x.part(0.8+0.2*float64(step)/float64(x.m.Fixes), fmt.Sprintf("mending by %s, step %d", method, step))
		named, way, err := x.named(method, g)
		if err != nil {
			return nil, nil, err
		}
		text, service := x.last(named, way, left)
		ways = append(ways, text)
		if service == "" {
			break
		}
		effects, order, err := x.effects(g, left)
		if err != nil {
			return nil, nil, err
		}
		was := rows[len(rows)-1].MAE
		before, after, err := x.local(g, service)
		if err != nil {
			return nil, nil, err
		}
		if g, err = x.mend(g, service); err != nil {
			return nil, nil, err
		}
		row, err := x.row(g)
		if err != nil {
			return nil, nil, err
		}
		row.Method, row.Step, row.Service, row.Named = method, step, service, named
		row.Rank, row.Of, row.Best = slices.Index(order, service)+1, len(order), order[0]
		if gain := was - 1000*effects[order[0]]; gain > 0 {
			share := cli.Round((was - 1000*effects[service]) / gain)
			row.Gain = &share
		}
		b, a := cli.Round(before), cli.Round(after)
		row.Before, row.After = &b, &a
		left = slices.DeleteFunc(left, func(s string) bool { return s == service })
		rows = append(rows, row)
	}
	return rows, ways, nil
}

// parts are the services that the graph has metrics of.
func (x *mixed) parts(g *latency.Graph) (out []string) {
	for _, l := range g.Labels() {
		if s, _, _ := strings.Cut(l, ":"); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// last is the last service on debugging's way that is not mended yet.
func (x *mixed) last(named string, labels, left []string) (text, service string) {
	if len(labels) == 0 || labels[len(labels)-1] != named {
		labels = append(labels, named)
	}
	for _, l := range slices.Backward(labels) {
		if s, _, _ := strings.Cut(l, ":"); slices.Contains(left, s) {
			return strings.Join(labels, " → "), s
		}
	}
	return strings.Join(labels, " → "), ""
}

func (x *mixed) row(g *latency.Graph) (MixRow, error) {
	abs, log, err := x.m.off(g, x.test)
	return MixRow{Repeat: x.repeat, MAE: cli.Round(1000 * mean(abs)), Log: cli.Round(mean(log))}, err
}

// mend adds a model of recent rows to each of a service's assignments, and weights all by these rows.
func (x *mixed) mend(g *latency.Graph, service string) (*latency.Graph, error) {
	g = g.Clone()
	for _, l := range g.Labels() {
		if s, _, _ := strings.Cut(l, ":"); s != service {
			continue
		}
		a := x.mended[l]
		if a == nil {
			a = g.Assignment(l).Clone()
			if _, err := a.Add(x.recent, nil, "recent", x.m.learn(x.seed), false); err != nil {
				return nil, err
			}
			if _, err := a.WeightOutputs(x.recent, latency.WeightConfig{Seed: x.seed}); err != nil {
				return nil, err
			}
			x.mended[l] = a
		}
		if err := g.Replace(a); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// effects is the error, in seconds, once any one of some services is mended, and the services in that order.
func (x *mixed) effects(g *latency.Graph, left []string) (map[string]float64, []string, error) {
	out := map[string]float64{}
	order := slices.Clone(left)
	for _, s := range left {
		one, err := x.mend(g, s)
		if err != nil {
			return nil, nil, err
		}
		abs, _, err := x.m.off(one, x.test)
		if err != nil {
			return nil, nil, err
		}
		out[s] = mean(abs)
	}
	slices.SortStableFunc(order, func(a, b string) int {
		switch {
		case out[a] < out[b]:
			return -1
		case out[a] > out[b]:
			return 1
		}
		return 0
	})
	return out, order, nil
}

// local is how far a service's assignments are off by themselves, at the mix before and at the one after: mean logarithms.
func (x *mixed) local(g *latency.Graph, service string) (before, after float64, err error) {
	for i, t := range []*latency.Table{x.same, x.recent} {
		errs, err := g.Errors(x.m.Target, t)
		if err != nil {
			return 0, 0, err
		}
		sum, n := 0.0, 0.0
		for _, e := range errs {
			if s, _, _ := strings.Cut(e.Label, ":"); s == service && !math.IsNaN(e.LocalLog) {
				sum += e.LocalLog
				n++
			}
		}
		if i == 0 {
			before = sum / max(n, 1)
		} else {
			after = sum / max(n, 1)
		}
	}
	return before, after, nil
}

// orders is the error after each step where the service that is off most is mended, and where the one that helps most is.
func (x *mixed) orders(ctx context.Context, start *latency.Graph) (byError, byBest []float64, err error) {
	for kind, to := range []*[]float64{&byError, &byBest} {
		g, left := start, x.parts(start)
		for step := 0; ; step++ {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			x.part(0.6+0.1*float64(kind), "other orders of mending")
			row, err := x.row(g)
			if err != nil {
				return nil, nil, err
			}
			*to = append(*to, row.MAE)
			if step == x.m.Fixes || len(left) == 0 {
				break
			}
			next := ""
			if kind == 0 {
				errs, err := g.Errors(x.m.Target, x.recent)
				if err != nil {
					return nil, nil, err
				}
				most := -1.0
				for _, e := range errs {
					if s, _, _ := strings.Cut(e.Label, ":"); e.MAE > most && slices.Contains(left, s) {
						next, most = s, e.MAE
					}
				}
			} else if _, order, err := x.effects(g, left); err != nil {
				return nil, nil, err
			} else {
				next = order[0]
			}
			if next == "" {
				break
			}
			if g, err = x.mend(g, next); err != nil {
				return nil, nil, err
			}
			left = slices.DeleteFunc(left, func(s string) bool { return s == next })
		}
	}
	return byError, byBest, nil
}

// chance is the mean error after each step, over random orders.
func (x *mixed) chance(start *latency.Graph) ([]float64, error) {
	const orders = 8
	r := rand.New(rand.NewPCG(x.seed, 0x0d))
	var out []float64
	for range orders {
		g, left := start, x.parts(start)
		r.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		for step := 0; step <= x.m.Fixes && step <= len(left); step++ {
			row, err := x.row(g)
			if err != nil {
				return nil, err
			}
			if step == len(out) {
				out = append(out, 0)
			}
			out[step] += row.MAE / orders
			if step < len(left) {
				if g, err = x.mend(g, left[step]); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// references are errors of other models, in ms: of the graph at the mix before, and of graphs and monoliths that are trained as a whole.
func (x *mixed) references(g *latency.Graph, d *MixDetail) error {
	out := map[string]float64{}
	set := func(name string, g *latency.Graph, t *latency.Table, err error) error {
		if err != nil {
			return err
		}
		abs, _, err := x.m.off(g, t)
		out[name] = cli.Round(1000 * mean(abs))
		return err
	}
	if err := set("composed_same_mix_ms", g, x.same, nil); err != nil {
		return err
	}
	again, _, err := x.m.fit(x.services, x.recent, x.seed)
	if err := set("composed_all_recent_ms", again, x.test, err); err != nil {
		return err
	}
	old, err := x.m.monolith(x.services, x.train, x.seed)
	if err := set("monolith_ms", old, x.test, err); err != nil {
		return err
	}
	fresh, err := x.m.monolith(x.services, x.recent, x.seed)
	if err := set("monolith_recent_ms", fresh, x.test, err); err != nil {
		return err
	}
	d.Reference = append(d.Reference, out)
	return nil
}
