package instrument

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// receiver answers reports as told.
type receiver func(*http.Request) (*http.Response, error)

func (f receiver) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answered(status int) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader("why"))}
}

func start(t *testing.T, c Config) *Instrument {
	t.Helper()
	c.Service = "cart"
	in, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// A busy process reports each beat, an idle one each second, and what was counted last goes out with Close.
func TestReportsEachBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reports atomic.Int64
		in := start(t, Config{Transport: receiver(func(r *http.Request) (*http.Response, error) {
			if r.URL.String() != "http://127.0.0.1:4318/v1/metrics" || r.Header.Get("Content-Type") != "application/x-protobuf" {
				t.Errorf("%s %v", r.URL, r.Header)
			}
			reports.Add(1)
			return answered(200), nil
		})})
		during := func(d time.Duration, least, most int64) {
			t.Helper()
			before := reports.Load()
			time.Sleep(d)
			synctest.Wait()
			if n := reports.Load() - before; n < least || n > most {
				t.Errorf("%d reports in %v, want %d to %d", n, d, least, most)
			}
		}
		request := in.Server("e").Begin()
		during(10*beat+time.Millisecond, 10, 10)
		request.End(false)
		during(10*beat, 2, 3) // of the end, of the first idle beat, perhaps of a second
		during(100*beat, 10, 10)
		last := reports.Load()
		in.Server("e").Begin().End(false)
		in.Close()
		in.Close()
		if reports.Load() != last+1 {
			t.Error("Close sent no report")
		}
		if s := in.Stats(); s.Sent != uint64(last)+1 || s.Dropped != 0 || s.Err != nil {
			t.Errorf("%+v", s)
		}
	})
}

// A receiver that never answers holds nobody up and holds one report; when it answers again, so do reports get through.
func TestReceiverThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trouble []error
		var mends atomic.Bool
		in := start(t, Config{Trouble: func(err error) { trouble = append(trouble, err) },
			Transport: receiver(func(r *http.Request) (*http.Response, error) {
				if mends.Load() {
					return answered(200), nil
				}
				<-r.Context().Done()
				return nil, context.Cause(r.Context())
			})})
		request := in.Server("e").Begin()
		time.Sleep(100 * beat)
		if s := in.Stats(); s.Sent != 0 || s.Dropped < 95 || s.Err == nil {
			t.Errorf("%+v", s)
		}
		mends.Store(true)
		time.Sleep(30 * beat)
		request.End(false)
		in.Close()
		if s := in.Stats(); s.Sent < 10 || s.Err != nil {
			t.Errorf("after it answers again: %+v", s)
		}
		if len(trouble) != 2 || trouble[0] == nil || trouble[1] != nil {
			t.Errorf("told %v", trouble)
		}
	})
}

// A refused report names the receiver, its answer and no password.
func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trouble error
		in := start(t, Config{URL: "http://user:secret@foresail:4318", Header: http.Header{"Authorization": {"Bearer t"}},
			Trouble: func(err error) { trouble = err },
			Transport: receiver(func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("Authorization") != "Bearer t" {
					t.Error("the token is missing")
				}
				return answered(403), nil
			})})
		time.Sleep(10 * beat)
		in.Close()
		if trouble == nil || !strings.Contains(trouble.Error(), "foresail:4318") || !strings.Contains(trouble.Error(), "why") || strings.Contains(trouble.Error(), "secret") {
			t.Error(trouble)
		}
	})
}

func TestConfig(t *testing.T) {
	env := map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.name=cart, k8s.pod.name=cart%2D1", "OTEL_EXPORTER_OTLP_ENDPOINT": "https://host:1/base",
		"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x"}
	get := func(k string) string { return env[k] }
	var c Config
	if err := c.complete(get); err != nil || c.Service != "cart" || c.Instance != "cart-1" || c.URL != "https://host:1/base/v1/metrics" || c.Header.Get("Authorization") != "Bearer x" {
		t.Errorf("%+v %v", c, err)
	}
	env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
	if c = (Config{}); c.complete(get) != nil || c.URL != "http://127.0.0.1:4318/v1/metrics" {
		t.Errorf("%+v", c)
	}
	env = nil
	c = Config{URL: "host:4317"}
	err := c.complete(get)
	if err == nil || !strings.Contains(err.Error(), "OTEL_SERVICE_NAME") || !strings.Contains(err.Error(), "host:4317") {
		t.Errorf("not every fault is told: %v", err)
	}
	if _, err := New(Config{Service: "s", URL: ":"}); err == nil {
		t.Error(err)
	}
}
