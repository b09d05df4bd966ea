package write_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"foresail.dev/telemetry/prom/write"
)

func client(t *testing.T, cfg write.Config) *write.Client {
	t.Helper()
	if cfg.MinDelay == 0 {
		cfg.MinDelay, cfg.MaxDelay = time.Millisecond, 2*time.Millisecond
	}
	c, err := write.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// same compares samples as they should arrive; version 1.0 knows no start.
func same(t *testing.T, got, want []write.Sample, start bool) {
	t.Helper()
	if !start {
		for i := range want {
			want[i].Start = 0
		}
	}
	byText := cmp.Comparer(func(a, b labels.Labels) bool { return a.String() == b.String() })
	if d := cmp.Diff(want, got, byText, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("what arrives differs from what was sent (-sent +arrived):\n%s", d)
	}
}

func TestBothProtocolsCarrySamplesAndNativeHistograms(t *testing.T) {
	for _, p := range []write.Protocol{write.V1, write.V2, write.Auto} {
		s := newServer(t)
		c := client(t, write.Config{URL: s.URL, Protocol: p})
		sent := []write.Sample{counter("a_total", 2000, 3), latency(2000), counter("a_total", 3000, 4.5)}
		if err := c.Send(t.Context(), sent); err != nil {
			t.Fatal(p, err)
		}
		same(t, s.samples(), sent, p != write.V1)
		if st := c.Stats(); st.Sent != 3 || st.Refused != 0 || st.Requests != 1 {
			t.Errorf("%s: %+v", p, st)
		}
	}
}

func TestVersion2CarriesMetadata(t *testing.T) {
	s := newServer(t)
	meta := func(name string) metadata.Metadata {
		return metadata.Metadata{Type: model.MetricTypeCounter, Help: "How many.", Unit: "requests"}
	}
	if err := client(t, write.Config{URL: s.URL, Meta: meta}).Send(t.Context(), []write.Sample{counter("a_total", 1, 1)}); err != nil {
		t.Fatal(err)
	}
	req := s.v2[0]
	m := req.Timeseries[0].Metadata
	if m.Type != writev2.Metadata_METRIC_TYPE_COUNTER || req.Symbols[m.HelpRef] != "How many." || req.Symbols[m.UnitRef] != "requests" {
		t.Errorf("%+v of %q", m, req.Symbols)
	}
}

// A server that refuses 2.0 with 415 is asked only once; the sample that found it out arrives.
func TestFallsBackOn415(t *testing.T) {
	s := newServer(t, remote.WriteV1MessageType)
	c := client(t, write.Config{URL: s.URL})
	for i := range int64(3) {
		if err := c.Send(t.Context(), []write.Sample{counter("a_total", i, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.count(); n != 4 || c.Stats().Protocol != write.V1 || len(s.samples()) != 3 {
		t.Errorf("%d requests for 3 and one refusal, protocol %s, %d samples", n, c.Stats().Protocol, len(s.samples()))
	}
}

// Servers older than 2.0 read such a request as an empty one, and answer that all is well.
func TestFallsBackWhenTheAnswerDoesNotSayWhatWasWritten(t *testing.T) {
	s := newServer(t, remote.WriteV1MessageType)
	s.fail = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.Header.Get("Content-Type"), "v2") {
			w.WriteHeader(http.StatusNoContent)
			return true
		}
		return false
	}
	if err := client(t, write.Config{URL: s.URL}).Send(t.Context(), []write.Sample{counter("a_total", 1, 1)}); err != nil {
		t.Fatal(err)
	}
	if len(s.samples()) != 1 {
		t.Error("the sample did not arrive")
	}
	err := client(t, write.Config{URL: s.URL, Protocol: write.V2}).Send(t.Context(), []write.Sample{counter("a_total", 1, 1)})
	if err == nil || !strings.Contains(err.Error(), "1.0 only") {
		t.Errorf("asked for 2.0 alone: %v", err)
	}
}

func TestRetriesWhatMayPass(t *testing.T) {
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInternalServerError} {
		s := newServer(t)
		s.fail = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n <= 2 {
				w.WriteHeader(code)
			}
			return n <= 2
		}
		c := client(t, write.Config{URL: s.URL})
		if err := c.Send(t.Context(), []write.Sample{counter("a_total", 1, 1)}); err != nil {
			t.Fatal(code, err)
		}
		if st := c.Stats(); st.Retries != 2 || len(s.samples()) != 1 {
			t.Errorf("%d: %d retries, %d samples", code, st.Retries, len(s.samples()))
		}
	}
}

func TestDoesNotRepeatWhatIsRefused(t *testing.T) {
	s := newServer(t)
	s.fail = status(http.StatusBadRequest, "out of order\nsample")
	c := client(t, write.Config{URL: s.URL, PerSend: 1})
	err := c.Send(t.Context(), []write.Sample{counter("a_total", 2, 1), counter("b_total", 2, 1)})
	var refused *write.Refused
	if !errors.As(err, &refused) || refused.Status != 400 || refused.Text != "out of order sample" {
		t.Errorf("%#v", err)
	}
	if s.count() != 2 || c.Stats().Refused != 2 {
		t.Errorf("%d requests, %d samples refused: the second should be sent though the first was refused", s.count(), c.Stats().Refused)
	}
}

// answers is a server in a bubble of simulated time.
type answers func(*http.Request) *http.Response

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// The wait that a server asks for is kept, but not beyond the longest delay.
func TestRetryAfter(t *testing.T) {
	for asked, want := range map[string]time.Duration{"7": 7 * time.Second, "99999999": 20 * time.Second, "-4": 0, "soon": 0} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var at []time.Duration
			transport := answers(func(r *http.Request) *http.Response {
				at = append(at, time.Since(start))
				h := http.Header{"X-Prometheus-Remote-Write-Samples-Written": {"1"}}
				code := http.StatusNoContent
				if len(at) == 1 {
					code = http.StatusServiceUnavailable
					h.Set("Retry-After", asked)
				}
				return &http.Response{StatusCode: code, Header: h, Body: http.NoBody, Request: r}
			})
			c := client(t, write.Config{URL: "http://mimir/push", Client: &http.Client{Transport: transport},
				MinDelay: 10 * time.Millisecond, MaxDelay: 20 * time.Second})
			if err := c.Send(t.Context(), []write.Sample{counter("a_total", 1, 1)}); err != nil {
				t.Fatal(err)
			}
			if got := at[1]; got < want || got > want+time.Second {
				t.Errorf("Retry-After: %s: again after %v, not %v", asked, got, want)
			}
		})
	}
}

func TestGivesUpWithItsContext(t *testing.T) {
	s := newServer(t)
	s.fail = status(http.StatusServiceUnavailable, "")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := client(t, write.Config{URL: s.URL}).Send(ctx, []write.Sample{counter("a_total", 1, 1)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// A password in a header goes to the server that is configured and to nobody whom that server names.
func TestFollowsNoRedirect(t *testing.T) {
	other := newServer(t)
	s := newServer(t)
	s.fail = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		return true
	}
	err := client(t, write.Config{URL: s.URL, Headers: map[string]string{"Authorization": "Bearer s3cret"}}).Send(t.Context(), []write.Sample{counter("a_total", 1, 1)})
	if err == nil || strings.Contains(err.Error(), "s3cret") || other.count() != 0 {
		t.Errorf("%v; the other server got %d requests", err, other.count())
	}
	if got := s.headers[0].Get("Authorization"); got != "Bearer s3cret" {
		t.Errorf("header %q", got)
	}
}

// Classic histograms have a series for each bucket in use, counted from below.
func TestClassicHistograms(t *testing.T) {
	s := newServer(t)
	if err := client(t, write.Config{URL: s.URL, Histograms: write.Classic}).Send(t.Context(), []write.Sample{latency(5)}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range s.samples() {
		got = append(got, x.Labels.Get("__name__")+" "+x.Labels.Get("le")+" "+labels.FormatOpenMetricsFloat(x.V))
	}
	want := []string{
		"foresail_endpoint_latency_seconds_bucket 0.10065564574682838 1.0",
		"foresail_endpoint_latency_seconds_bucket 0.1051120519067143 3.5",
		"foresail_endpoint_latency_seconds_bucket 0.125 6.0",
		"foresail_endpoint_latency_seconds_bucket +Inf 6.0",
		"foresail_endpoint_latency_seconds_count  6.0",
		"foresail_endpoint_latency_seconds_sum  1.25",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestFaultsOfAConfigurationAreToldAtOnce(t *testing.T) {
	_, err := write.New(write.Config{URL: "mimir:8080", Protocol: "3", Histograms: "nice", Timeout: -1})
	for _, part := range []string{"http://host:9090/api/v1/write", "protocol", "histograms", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: nothing of %s", err, part)
		}
	}
	if _, err := write.New(write.Config{URL: "ftp://user:s3cret@host/"}); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}
