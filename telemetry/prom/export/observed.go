package export

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/proto"

	"foresail.dev"
	"foresail.dev/telemetry/series"
)

// observed holds the newest values of all series of snapshots.
type observed struct {
	limit    int // series in a family
	replicas bool
	start    time.Time

	encoder  *series.Encoder
	slots    map[*series.Series]*slot
	families map[string]*family
	end      int64               // of the newest snapshot
	skipped  int                 // snapshots
	slowest  map[string]exemplar // by endpoint, the newest
}

// slot is the newest value of a series.
type slot struct {
	of     *family
	labels []*dto.LabelPair
	v      float64
	h      *histogram.FloatHistogram
	at     int64 // time of the newest sample
	folded bool

	endpoint string // of an endpoint's
}

// family is all series of one name.
type family struct {
	def  *series.Def
	desc *prometheus.Desc
	own  int // series that are shown as themselves
	// Of series beyond the limit: how many there are, and what those counted that have gone.
	folded int
	gone   float64
	goneH  *histogram.FloatHistogram
}

func newObserved(limit int, replicas bool, start time.Time) *observed {
	return &observed{limit: limit, replicas: replicas, start: start, encoder: series.NewEncoder(),
		slots: map[*series.Series]*slot{}, families: map[string]*family{}, slowest: map[string]exemplar{}}
}

// silence is how long a series is shown after it was last observed, or three intervals where those are longer: what has gone
// should vanish from a scrape, as it does from Prometheus itself.
const silence = int64(time.Minute / time.Millisecond)

func (o *observed) take(app *foresail.App, s *foresail.Snapshot) {
	samples, err := o.encoder.Encode(app, series.WithoutShapes(joined(s))) // they are not shown
	if err != nil {
		o.skipped++
		return
	}
	for i := range samples {
		p := &samples[i]
		if p.Base || p.Bookkeeping || p.Level == series.Replica && !o.replicas {
			continue
		}
		at := o.slots[p.Series]
		if at == nil {
			at = o.add(p.Series)
		}
		at.v, at.h, at.at = p.V, p.H, p.T
	}
	for i := range s.Endpoints {
		if x := s.Endpoints[i].Slowest; x.Trace != (foresail.TraceID{}) && x.Latency > 0 {
			o.slowest[series.Text(app.Endpoints[i].Name)] = exemplar{trace: fmt.Sprintf("%x", x.Trace[:]), value: x.Latency.Seconds(), at: s.End}
		}
	}
	o.end = s.End.UnixMilli()
	o.sweep(max(silence, 3*s.Duration().Milliseconds()))
}

func (o *observed) add(s *series.Series) *slot {
	f := o.families[s.Name]
	if f == nil {
		f = &family{def: s.Def, desc: prometheus.NewDesc(s.Name, s.Help, s.Def.Labels(), nil)}
		o.families[s.Name] = f
	}
	at := &slot{of: f, folded: f.own >= o.limit, endpoint: s.Labels.Get("endpoint")}
	if at.folded {
		f.folded++
	} else {
		f.own++
		s.Labels.Range(func(l labels.Label) {
			if l.Name != model.MetricNameLabel {
				at.labels = append(at.labels, &dto.LabelPair{Name: proto.String(l.Name), Value: proto.String(l.Value)})
			}
		})
	}
	o.slots[s] = at
	return at
}

// sweep drops what has not been observed for long.
func (o *observed) sweep(longest int64) {
	maps.DeleteFunc(o.slots, func(_ *series.Series, at *slot) bool {
		if o.end-at.at <= longest {
			return false
		}
		if !at.folded {
			at.of.own--
			return true
		}
		at.of.folded--
		if at.of.def.Kind == series.Counter {
			at.of.gone += at.v
		}
		if at.h != nil {
			at.of.goneH = plus(at.of.goneH, at.h)
		}
		return true
	})
}

// collect yields every series, those beyond the limit as one.
func (o *observed) collect(emit func(prometheus.Metric)) {
	others := map[*family]*metric{}
	for _, at := range o.slots {
		m := &metric{desc: at.of.desc, labels: at.labels, kind: at.of.def.Kind, v: at.v, h: at.h, start: o.start}
		if !at.folded {
			if at.h != nil && at.of.def.Level == series.Endpoint {
				m.exemplar = o.slowest[at.endpoint]
			}
			emit(m)
			continue
		}
		if sum := others[at.of]; sum != nil {
			sum.fold(at.of.def, m)
		} else {
			others[at.of] = m
		}
	}
	for _, f := range o.families {
		m := others[f]
		if m == nil && f.gone == 0 && f.goneH == nil {
			continue
		}
		if m == nil {
			m = &metric{desc: f.desc, kind: f.def.Kind, start: o.start, v: f.gone, h: f.goneH}
		} else {
			m.v += f.gone
			m.h = plus(m.h, f.goneH)
		}
		for _, name := range f.def.Labels() {
			value := Other
			if name == "application" {
				value = o.application()
			}
			m.labels = append(m.labels, &dto.LabelPair{Name: proto.String(name), Value: proto.String(value)})
		}
		emit(m)
	}
}

// application is the name that all series carry.
func (o *observed) application() string {
	for s := range o.slots {
		return s.Labels.Get("application")
	}
	return ""
}

// fold adds a series that is beyond the limit. The most of several is the most; all else adds.
func (m *metric) fold(d *series.Def, v *metric) {
	if strings.HasSuffix(d.Name, "_max") {
		m.v = math.Max(m.v, v.v)
		return
	}
	m.v += v.v
	m.h = plus(m.h, v.h)
}

// plus is a new histogram of both, either of which may be nil.
func plus(a, b *histogram.FloatHistogram) *histogram.FloatHistogram {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	sum, _, _, err := a.Copy().Add(b)
	if err != nil {
		return a // of one schema, so there is none
	}
	return sum
}

// foldedFamilies lists the families that are at their limit, with how many series are beyond it.
func (o *observed) foldedFamilies() (names []string, counts []int) {
	at := slices.SortedFunc(maps.Values(o.families), func(a, b *family) int { return cmp.Compare(a.def.Name, b.def.Name) })
	for _, f := range at {
		if f.folded > 0 {
			names, counts = append(names, f.def.Name), append(counts, f.folded)
		}
	}
	return names, counts
}
