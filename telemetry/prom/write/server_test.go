package write_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"foresail.dev/telemetry/prom/write"
)

// server is a receiver of remote write that keeps what it is sent. fail, which may be nil, answers a request instead.
type server struct {
	*httptest.Server
	fail func(n int, w http.ResponseWriter, r *http.Request) bool // n counts requests from 1

	mu       sync.Mutex
	requests int
	headers  []http.Header
	got      []write.Sample
	v2       []writev2.Request
}

func newServer(t *testing.T, accepts ...remote.WriteMessageType) *server {
	s := &server{}
	if len(accepts) == 0 {
		accepts = []remote.WriteMessageType{remote.WriteV1MessageType, remote.WriteV2MessageType}
	}
	h := remote.NewWriteHandler(s, accepts)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		n := s.requests
		s.headers = append(s.headers, r.Header.Clone())
		fail := s.fail
		s.mu.Unlock()
		if fail != nil && fail(n, w, r) {
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// Store keeps a request.
func (s *server) Store(r *http.Request, kind remote.WriteMessageType) (*remote.WriteResponse, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	out := remote.NewWriteResponse()
	s.mu.Lock()
	defer s.mu.Unlock()
	b := labels.NewScratchBuilder(0)
	if kind == remote.WriteV2MessageType {
		var req writev2.Request
		if err := req.Unmarshal(body); err != nil {
			return out, err
		}
		s.v2 = append(s.v2, req)
		for _, ts := range req.Timeseries {
			l, err := ts.ToLabels(&b, req.Symbols)
			if err != nil {
				return out, err
			}
			for _, p := range ts.Samples {
				s.got = append(s.got, write.Sample{Labels: l, T: p.Timestamp, Start: p.StartTimestamp, V: p.Value})
				out.Samples++
			}
			for _, p := range ts.Histograms {
				s.got = append(s.got, write.Sample{Labels: l, T: p.Timestamp, Start: p.StartTimestamp, H: p.ToFloatHistogram()})
				out.Histograms++
			}
		}
		return out, nil
	}
	var req prompb.WriteRequest
	if err := req.Unmarshal(body); err != nil {
		return out, err
	}
	for _, ts := range req.Timeseries {
		l := ts.ToLabels(&b, nil)
		for _, p := range ts.Samples {
			s.got = append(s.got, write.Sample{Labels: l, T: p.Timestamp, V: p.Value})
		}
		for _, p := range ts.Histograms {
			s.got = append(s.got, write.Sample{Labels: l, T: p.Timestamp, H: p.ToFloatHistogram()})
		}
	}
	return out, nil
}

func (s *server) samples() []write.Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]write.Sample(nil), s.got...)
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// status answers with it, whatever comes.
func status(code int, text string) func(int, http.ResponseWriter, *http.Request) bool {
	return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, text, code)
		return true
	}
}

func counter(name string, t int64, v float64) write.Sample {
	return write.Sample{Labels: labels.FromStrings("__name__", name, "application", "shop"), T: t, Start: 1000, V: v}
}

func latency(t int64) write.Sample {
	return write.Sample{Labels: labels.FromStrings("__name__", "foresail_endpoint_latency_seconds", "endpoint", "buy"), T: t, Start: 1000,
		H: &histogram.FloatHistogram{Schema: 4, Count: 6, Sum: 1.25, ZeroThreshold: 1e-9,
			PositiveSpans: []histogram.Span{{Offset: -53, Length: 2}, {Offset: 3, Length: 1}}, PositiveBuckets: []float64{1, 2.5, 2.5}}}
}
