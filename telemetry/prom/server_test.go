package prom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	promhist "github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// server answers the HTTP API in this process, with Prometheus' own engine over samples that its test language describes.
// Its time is what the test sets.
type server struct {
	t      testing.TB
	engine *promql.Engine
	store  storage.Queryable
	now    func() time.Time

	mu      sync.Mutex
	queries []string // asked since reset
	reply   func(q string, req *http.Request) *http.Response
}

func serve(t testing.TB, load string, now func() time.Time) *server {
	t.Helper()
	s := &server{t: t, now: now, engine: promqltest.NewTestEngine(t, false, 5*time.Minute, 50_000_000)}
	s.store = promqltest.LoadedStorage(t, load)
	return s
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	q := req.Form.Get("query")
	s.mu.Lock()
	s.queries = append(s.queries, q)
	reply := s.reply
	s.mu.Unlock()
	if reply != nil {
		if resp := reply(q, req); resp != nil {
			return resp, nil
		}
	}
	v, err := s.evaluate(req, q)
	if err != nil {
		return answered(400, "application/json", fmt.Sprintf(`{"status":"error","errorType":"bad_data","error":%q}`, err)), nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return answered(200, "application/json", fmt.Sprintf(`{"status":"success","data":{"resultType":%q,"result":%s}}`, v.Type(), b)), nil
}

func answered(code int, kind, body string) *http.Response {
	return &http.Response{StatusCode: code, Status: strconv.Itoa(code) + " " + http.StatusText(code), Header: http.Header{"Content-Type": {kind}},
		Body: io.NopCloser(bytes.NewBufferString(body))}
}

// asked is the queries since it was called last.
func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.queries
	s.queries = nil
	return out
}

func instant(text string, or time.Time) time.Time {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return time.UnixMilli(int64(f * 1e3))
	}
	return or
}

func (s *server) evaluate(req *http.Request, q string) (model.Value, error) {
	back := 5 * time.Minute
	if text := req.Form.Get("lookback_delta"); text != "" {
		d, err := model.ParseDuration(text)
		if err != nil {
			return nil, err
		}
		back = time.Duration(d)
	}
	opts := promql.NewPrometheusQueryOpts(false, back, nil)
	var query promql.Query
	var err error
	if start := req.Form.Get("start"); start != "" {
		step, _ := strconv.ParseFloat(req.Form.Get("step"), 64)
		query, err = s.engine.NewRangeQuery(req.Context(), s.store, opts, q, instant(start, s.now()), instant(req.Form.Get("end"), s.now()), time.Duration(step*1e9))
	} else {
		query, err = s.engine.NewInstantQuery(req.Context(), s.store, opts, q, instant(req.Form.Get("time"), s.now()))
	}
	if err != nil {
		return nil, err
	}
	defer query.Close()
	r := query.Exec(req.Context())
	if r.Err != nil {
		return nil, r.Err
	}
	return translated(r.Value), nil
}

// translated is a value as the API's client knows it.
func translated(v parser.Value) model.Value {
	switch v := v.(type) {
	case promql.Scalar:
		return &model.Scalar{Value: model.SampleValue(v.V), Timestamp: model.Time(v.T)}
	case promql.Vector:
		out := model.Vector{}
		for _, s := range v {
			x := &model.Sample{Metric: metric(s.Metric), Timestamp: model.Time(s.T), Value: model.SampleValue(s.F)}
			if s.H != nil {
				x.Histogram = translatedHistogram(s.H)
			}
			out = append(out, x)
		}
		return out
	case promql.Matrix:
		out := model.Matrix{}
		for _, s := range v {
			x := &model.SampleStream{Metric: metric(s.Metric)}
			for _, p := range s.Floats {
				x.Values = append(x.Values, model.SamplePair{Timestamp: model.Time(p.T), Value: model.SampleValue(p.F)})
			}
			for _, p := range s.Histograms {
				x.Histograms = append(x.Histograms, model.SampleHistogramPair{Timestamp: model.Time(p.T), Histogram: translatedHistogram(p.H)})
			}
			out = append(out, x)
		}
		return out
	}
	return &model.String{Value: fmt.Sprint(v)}
}

func metric(l labels.Labels) model.Metric {
	m := model.Metric{}
	l.Range(func(x labels.Label) { m[model.LabelName(x.Name)] = model.LabelValue(x.Value) })
	return m
}

func translatedHistogram(h *promhist.FloatHistogram) *model.SampleHistogram {
	out := &model.SampleHistogram{Count: model.FloatString(h.Count), Sum: model.FloatString(h.Sum)}
	for it := h.AllBucketIterator(); it.Next(); {
		if b := it.At(); b.Count != 0 {
			out.Buckets = append(out.Buckets, &model.HistogramBucket{Lower: model.FloatString(b.Lower), Upper: model.FloatString(b.Upper), Count: model.FloatString(b.Count)})
		}
	}
	return out
}
