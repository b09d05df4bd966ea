package callgraphs

import (
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Row is one call graph of an endpoint.
type Row struct {
	Endpoint string   `json:"endpoint"`
	Shape    string   `json:"shape"` // Form.ID
	Share    float64  `json:"share"` // of the endpoint's requests
	Requests float64  `json:"requests"`
	Pooled   float64  `json:"pooled"`   // of them, had another form, too rare to be told, of which this is the nearest
	Services int      `json:"services"` // that are visited
	Calls    float64  `json:"calls"`    // visits of one request, the entry's and those that nobody waits for among them
	P50      *float64 `json:"p50_ms,omitempty"`
	P99      *float64 `json:"p99_ms,omitempty"`
	Graph    string   `json:"graph"` // Form.Path
}

// Rows are those of all endpoints, those with most requests and the most frequent graphs first.
func (s *Set) Rows() []Row {
	rows := []Row{}
	for _, e := range s.endpoints() {
		for i := range e.shapes {
			d := &e.shapes[i]
			services, calls := visited(d.Form)
			rows = append(rows, Row{Endpoint: e.name, Shape: d.Form.ID(s.App), Share: d.Requests / e.requests, Requests: d.Requests, Pooled: d.Pooled,
				Services: services, Calls: calls, P50: ms(d.Latency, 0.5), P99: ms(d.Latency, 0.99), Graph: d.Form.Path(s.App, false)})
		}
	}
	return rows
}

// visited is how many services a request visits, and how often together.
func visited(f *foresail.Form) (services int, calls float64) {
	seen := map[foresail.ServiceID]bool{}
	for _, v := range f.Visits {
		if !seen[v.Service] {
			seen[v.Service] = true
			calls += f.Calls(v.Service)
		}
	}
	return len(seen), calls
}

// ms is a quantile in milliseconds; nil where nothing was observed.
func ms(s *sketch.Sketch, q float64) *float64 {
	if s.Count() == 0 {
		return nil
	}
	v := s.Quantile(q) * 1000
	return &v
}

// ShareRow is how many of an endpoint's requests took one call graph in one interval.
type ShareRow struct {
	Start    time.Time `json:"start"`
	Seconds  float64   `json:"seconds"`
	Endpoint string    `json:"endpoint"`
	Shape    string    `json:"shape"`
	Share    float64   `json:"share"` // of the endpoint's requests in the interval
	Requests float64   `json:"requests"`
}

// Shares are the rows of each interval in which there were requests, in order of time; in one interval in the order of Rows.
func (s *Set) Shares() []ShareRow {
	rows := []ShareRow{}
	all := s.endpoints()
	for _, p := range s.intervals {
		for i := range all {
			e := &all[i]
			of, total := s.of(e, &p)
			for k := range of {
				if total > 0 {
					rows = append(rows, ShareRow{Start: p.start, Seconds: p.end.Sub(p.start).Seconds(), Endpoint: e.name, Shape: e.shapes[k].Form.ID(s.App), Share: of[k] / total, Requests: of[k]})
				}
			}
		}
	}
	return rows
}

// of is how many requests each shape of an endpoint had in an interval, and all of them together.
func (s *Set) of(e *endpoint, p *interval) (of []float64, total float64) {
	of = make([]float64, len(e.shapes))
	for k := range e.shapes {
		if n, ok := s.forms[e.shapes[k].Form.Key()]; ok && n < len(p.requests) {
			of[k] = p.requests[n]
			total += of[k]
		}
	}
	return of, total
}

// Detail is what a result holds beside its rows.
type Detail struct {
	From      time.Time  `json:"from"`
	To        time.Time  `json:"to"`
	Endpoints []Endpoint `json:"endpoints"`
	Notes     []string   `json:"notes,omitempty"`
}

// Endpoint is what was observed of one endpoint's requests.
type Endpoint struct {
	Endpoint    string   `json:"endpoint"`
	Requests    float64  `json:"requests"`
	PooledShare float64  `json:"pooled_share"` // of the requests, whose form is too rare to be told by itself
	P50         *float64 `json:"p50_ms,omitempty"`
	P99         *float64 `json:"p99_ms,omitempty"`
	Objective   *float64 `json:"objective_ms,omitempty"`
	Percentile  *float64 `json:"objective_percentile,omitempty"`
	Shapes      []Shape  `json:"shapes"`
	Tail        *Tail    `json:"tail,omitempty"`     // absent where own times were not observed
	NoTail      string   `json:"tail_why,omitempty"` // why
}

// Shape is a call graph in full.
type Shape struct {
	Row
	Visits []Visit `json:"visits"`
}

// Visit is one of its visits.
type Visit struct {
	foresail.NamedVisit
	OwnMean *float64 `json:"own_mean_ms,omitempty"` // time that one visit takes by itself
	OwnP50  *float64 `json:"own_p50_ms,omitempty"`
	OwnP99  *float64 `json:"own_p99_ms,omitempty"`
}

// Details are of all endpoints, in the order of Rows, with who makes up the requests beyond a percentile, 0 < p < 1; 0: that of
// each endpoint's objective, or 0.95.
func (s *Set) Details(p float64) Detail {
	d := Detail{From: s.from, To: s.to, Endpoints: []Endpoint{}, Notes: s.Notes}
	rows := s.Rows()
	for _, e := range s.endpoints() {
		out := Endpoint{Endpoint: e.name, Requests: e.requests, PooledShare: e.pooled / e.requests}
		all := sketch.New()
		for i := range e.shapes {
			st := &e.shapes[i]
			all.Merge(st.Latency)
			one := Shape{Row: rows[0]}
			rows = rows[1:]
			for k, v := range st.Form.Named(s.App) {
				vis := Visit{NamedVisit: v}
				if k < len(st.Own) && st.Own[k].Count() > 0 {
					mean := st.Own[k].Mean() * 1000
					vis.OwnMean, vis.OwnP50, vis.OwnP99 = &mean, ms(st.Own[k], 0.5), ms(st.Own[k], 0.99)
				}
				one.Visits = append(one.Visits, vis)
			}
			out.Shapes = append(out.Shapes, one)
		}
		out.P50, out.P99 = ms(all, 0.5), ms(all, 0.99)
		at := p
		if o := s.App.Endpoints[e.id].Objective; o != nil {
			l, pc := o.Latency.Seconds()*1000, o.Percentile
			out.Objective, out.Percentile = &l, &pc
			if at == 0 {
				at = pc / 100
			}
		}
		if at == 0 {
			at = defaultPercentile
		}
		if t, err := tailOf(s.App, &e, all, at); err != nil {
			out.NoTail = err.Error()
		} else {
			out.Tail = t
		}
		d.Endpoints = append(d.Endpoints, out)
	}
	return d
}

// TailRow is what one service adds to an endpoint's requests beyond a percentile.
type TailRow struct {
	Endpoint   string   `json:"endpoint"`
	Percentile float64  `json:"percentile"`
	At         float64  `json:"at_ms"`
	Observed   *float64 `json:"observed_ms,omitempty"`
	TailService
}

func (d *Detail) tailRows() []TailRow {
	rows := []TailRow{}
	for _, e := range d.Endpoints {
		if e.Tail == nil {
			continue
		}
		for _, s := range e.Tail.Services {
			rows = append(rows, TailRow{Endpoint: e.Endpoint, Percentile: e.Tail.Percentile, At: e.Tail.At, Observed: e.Tail.Observed, TailService: s})
		}
	}
	return rows
}
