package prom

import (
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foresail.dev"
)

// hostile are answers that no honest server gives.
var hostile = []string{
	``, `null`, `[]`, `{}`, `{"status":"success"}`, `{"status":"success","data":null}`, `{"status":"success","data":{"resultType":"vector","result":null}}`,
	`{"status":"success","data":{"resultType":"vector","result":[null]}}`,
	`{"status":"success","data":{"resultType":"matrix","result":[]}}`,
	`{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`,
	`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"service_name":"front","container":"front"},"value":[1,"NaN"]}]}}`,
	`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"service_name":"front","container":"front","le":"0.1"},"value":[1,"+Inf"]}]}}`,
	`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"service_name":"front","container":"front","le":"x"},"value":[1,"-5"]}]}}`,
	`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"service_name":"front","container":"front","le":"+Inf"},"value":[1,"1e308"]},{"metric":{"service_name":"front","container":"front","le":"+Inf"},"value":[1,"1e308"]}]}}`,
	`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"service_name":"cart"},"histogram":[1,{"count":"NaN","sum":"NaN","buckets":[[0,"-1","NaN","1"],[9,"2","1","-1"]]}]}]}}`,
	`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"service_name":"cart"},"histogram":[1,{"count":"1e308","sum":"-Inf","buckets":[[0,"0","1e308","1e308"],[3,"-0.1","0.1","1"],[0,"-5","-1","3"]]}]}]}}`,
	`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"service_name":"cart"},"histogram":[1,{"count":"2","sum":"1","buckets":[null]}]}]}}`,
	`{"status":"success","warnings":["results truncated due to limit"],"data":{"resultType":"vector","result":[]}}`,
	`{"status":"error","errorType":"execution","error":"query timed out in expression evaluation"}`,
}

// Whatever a server answers, reading goes on: a snapshot comes, with nothing in it that can't be.
func TestHostileAnswers(t *testing.T) {
	for _, body := range hostile {
		bubble(t, all, func(t *testing.T, s *server, cfg Config) {
			cfg.Log = nil
			src, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			s.reply = func(string, *http.Request) *http.Response { return answered(200, "application/json", body) }
			for range 2 {
				got, err := src.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				sane(t, got)
			}
		})
	}
}

func FuzzAnswers(f *testing.F) {
	for _, body := range hostile {
		f.Add(body, hostile[0])
		f.Add(hostile[len(hostile)-4], body)
	}
	now := time.Unix(60, 0)
	f.Fuzz(func(t *testing.T, first, second string) {
		var n atomic.Int64
		answers := fake(func(*http.Request) *http.Response {
			if n.Add(1)%2 == 0 {
				return answered(200, "application/json", first)
			}
			return answered(200, "application/json", second)
		})
		r, err := NewReader(Config{Access: Access{URL: "http://prometheus.test", Transport: answers}, App: shop(), Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		p := &plan{}
		for i := range r.recipes[0].Series {
			s := &r.recipes[0].Series[i]
			for _, form := range []form{plainForm, native, classic} {
				f := &found{recipe: "otel", series: s, kind: s.Gives, form: form, spell: s.spellings()[0], label: "service_name", to: "server_address",
					serves: map[foresail.ServiceID]string{0: "front", 1: "cart"}}
				if s.Gives.histogram() == (form != plainForm) {
					p.queries = append(p.queries, f.queries(r)...)
				}
			}
		}
		a, b := &moment{look: look{at: now.Add(-5 * time.Second), back: time.Minute}}, &moment{look: look{at: now, back: time.Minute}}
		r.ask(t.Context(), a, p)
		r.ask(t.Context(), b, p)
		sane(t, r.between(p, a, b, a.at, b.at))
	})
}

type fake func(*http.Request) *http.Response

func (f fake) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// sane fails where a snapshot holds what can't be.
func sane(t *testing.T, s *foresail.Snapshot) {
	t.Helper()
	usage := func(u *foresail.Usage) {
		for _, v := range []float64{u.CPU, u.Arrivals, u.Completions, u.Errors, u.InFlight.Last, u.InFlight.Max, u.InFlight.Mean, u.Latency.Count()} {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Fatalf("%+v", *u)
			}
		}
		if u.Memory < 0 || u.NetIn < 0 || u.Ready < 0 || u.Throttled < 0 {
			t.Fatalf("%+v", *u)
		}
	}
	for i := range s.Services {
		usage(&s.Services[i].Usage)
		for k := range s.Services[i].Replicas {
			usage(&s.Services[i].Replicas[k].Usage)
		}
		if a := s.Services[i].Allocation; a.Replicas < 0 || !(a.CPU >= 0) {
			t.Fatalf("%+v", a)
		}
	}
	for _, e := range s.Endpoints {
		if !(e.Requests >= 0) || !(e.Late >= 0) || math.IsInf(e.Late, 0) {
			t.Fatalf("%+v", e)
		}
	}
}

// Secrets in what is given never show.
func TestSecretsDontShow(t *testing.T) {
	_, err := NewReader(Config{Access: Access{URL: "http://user:hunter2@127.0.0.1:1"}})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	_, err = NewReader(Config{Access: Access{URL: "ftp://user:hunter2@127.0.0.1:1"}})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}
