package prom

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"foresail.dev"
)

// The past is read as far as a manager looks back, oldest first and without gaps, and is what Next would have given.
func TestPast(t *testing.T) {
	const load = `load 5s
  http_server_request_duration_seconds_bucket{service_name="front",pod="a",le="0.05"} 0+10x2000
  http_server_request_duration_seconds_bucket{service_name="front",pod="a",le="+Inf"} 0+10x2000
  http_server_request_duration_seconds{service_name="cart",pod="a"} {{schema:4 count:0 sum:0 buckets:[0 0]}}+{{schema:4 count:8 sum:8.16 buckets:[0 8]}}x2000
  container_cpu_usage_seconds_total{container="front",pod="a"} 0+2x2000`
	later := func(t *testing.T, s *server, cfg Config) *Source {
		time.Sleep(2*time.Hour + 3*time.Second)
		src, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	bubble(t, load, func(t *testing.T, s *server, cfg Config) {
		src := later(t, s, cfg)
		s.asked()
		told := 0.0
		got, err := src.Past(t.Context(), Past{Needs: foresail.Needs{Seconds: 300, Minutes: 100}, Limit: 24 * time.Hour, Progress: func(done float64, _ time.Time) {
			if done <= told {
				t.Errorf("progress goes from %v to %v", told, done)
			}
			told = done
		}})
		if err != nil {
			t.Fatal(err)
		}
		end := cfg.Now().Add(-time.Second).Truncate(5 * time.Second)
		if len(got) == 0 || !got[len(got)-1].End.Equal(end) || end.Sub(got[0].Start) < 100*time.Minute || end.Sub(got[0].Start) > 102*time.Minute {
			t.Fatalf("%d snapshots, from %v to %v", len(got), got[0].Start, got[len(got)-1].End)
		}
		fine := 0
		for i, x := range got {
			if i > 0 && !x.Start.Equal(got[i-1].End) {
				t.Fatalf("a gap from %v to %v", got[i-1].End, x.Start)
			}
			if x.Duration() == 5*time.Second {
				fine++
			} else if x.Duration() != time.Minute || fine > 0 {
				t.Fatalf("an interval of %v", x.Duration())
			}
			share := x.Duration().Seconds() / 5
			if x.Services[0].Completions != 10*share || x.Services[0].CPU != 2*share || x.Services[1].Latency.Count() != 8*share {
				t.Fatalf("%v: %+v", x.Start, x.Services[0].Usage)
			}
		}
		if fine < 60 || fine > 72 {
			t.Errorf("%d intervals of 5 s", fine)
		}
		if told != 1 {
			t.Errorf("progress ends at %v", told)
		}
		if n := len(s.asked()); n > 16 {
			t.Errorf("%d queries", n)
		}
	})
	bubble(t, load, func(t *testing.T, s *server, cfg Config) { // a server that gets slower: what there is, is the newest
		src := later(t, s, cfg)
		var n atomic.Int64
		s.reply = func(_ string, req *http.Request) *http.Response {
			if n.Add(1) > 20 {
				<-req.Context().Done()
			}
			return nil
		}
		began := cfg.Now()
		got, err := src.Past(t.Context(), Past{Needs: foresail.Needs{Seconds: 3600}, Limit: 24 * time.Hour, Budget: 8 * time.Second})
		if err == nil || len(got) == 0 || got[0].Stale || cfg.Now().Sub(began) > 9*time.Second {
			t.Errorf("%d snapshots after %v: %v", len(got), cfg.Now().Sub(began), err)
		}
	})
}
