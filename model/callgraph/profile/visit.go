package profile

import (
	"math"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
)

// An operation's own times differ from form to form: where a cache had the answer it has less to do. So of each visit of a form
// it is kept by how much its own times differ from its operation's.

// peculiarity is by how much a visit's own times differ from those of its operation: logarithms, by levels.
type peculiarity struct {
	End    int64     `json:"end"`    // Unix seconds of the last time it was seen
	Visits float64   `json:"visits"` // own times it is made of, older ones counting less
	Off    quantiles `json:"off"`

	of          *model // for which exponential was found out
	exponential bool
}

// Bounds of peculiarities: how many there are, of how many own times an interval's is looked at, and after how many seconds one
// counts half.
const (
	maxVisits   = 16_384
	fewestTimes = 20
	fades       = 600
)

// place is a visit of a form.
type place struct {
	form  string
	visit int
}

// compare notes by how much the visits of each form differ from their operations.
func (p *Profiler) compare(s *foresail.Snapshot, own map[foresail.ServiceID][]ownTimes) {
	now := s.End.Unix()
	for i := range s.Shapes {
		sh := &s.Shapes[i]
		for k := range min(len(sh.Own), len(sh.Form.Visits)) {
			v := &sh.Form.Visits[k]
			one := OfSketch(sh.Own[k])
			if one.n == 0 || one.told < fewestTimes { // all may have taken no time
				continue
			}
			all := find(own[v.Service], v.Operation)
			if all == nil {
				continue
			}
			at := place{sh.Form.Key(), k}
			c := p.visits[at]
			if c == nil {
				if len(p.visits) >= maxVisits {
					p.forgetVisits(now)
				}
				if len(p.visits) >= maxVisits {
					continue
				}
				c = &peculiarity{}
				p.visits[at] = c
			}
			c.Visits *= math.Exp2(-float64(now-c.End) / fades)
			c.End = now
			c.Visits += one.told
			q := one.quantiles()
			for l := range q {
				c.Off[l] += one.told / c.Visits * (math.Log(q[l]/all[l]) - c.Off[l])
			}
			c.of = nil
		}
	}
}

// forgetVisits drops those that were not seen for an hour.
func (p *Profiler) forgetVisits(now int64) {
	for at, c := range p.visits {
		if c.End < now-3600 {
			delete(p.visits, at)
		}
	}
}

func find(own []ownTimes, operation string) *quantiles {
	for i := range own {
		if own[i].operation == operation {
			return &own[i].quantiles
		}
	}
	return nil
}

// VisitStage predicts the own time of a visit of a form, as Stage does; where the form is known, with what sets the visit apart from
// others of its operation.
func (p *Profiler) VisitStage(form *foresail.Form, visit int, load float64) (dist.Stage, Validity) {
	v := &form.Visits[visit]
	c := p.visits[place{form.Key(), visit}]
	if int(v.Service) >= len(p.services) || c == nil {
		return p.Stage(v.Service, v.Operation, load)
	}
	service := &p.services[v.Service]
	at, found := service.find(v.Operation)
	if !found || len(service.ops[at].seen) == 0 {
		return p.Stage(v.Service, v.Operation, load)
	}
	return service.ops[at].stage(service, load, p.cfg, c)
}

// put adds the peculiarity to logarithms: less of it at levels that few own times lie above.
func (c *peculiarity) put(log quantiles) quantiles {
	if c == nil {
		return log
	}
	for l := range log {
		tail := c.Visits * (1 - levels[l])
		log[l] += c.Off[l] * tail / (tail + 10)
	}
	return log
}

// isExponential is the model's answer, or of a visit its own.
func (c *peculiarity) isExponential(m *model) bool {
	if c == nil {
		return m.exponential
	}
	if c.of != m {
		c.of, c.exponential = m, isExponential(c.put(at(m.knots, m.anchor)).exp())
	}
	return c.exponential
}
