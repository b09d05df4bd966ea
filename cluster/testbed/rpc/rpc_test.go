package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/wire"
)

func routes(addresses ...[]string) *wire.Routes { return &wire.Routes{Addresses: addresses} }

// serve is a replica that answers with a status; it counts its requests.
func serve(t *testing.T, status int) (address string, served *atomic.Int64) {
	t.Helper()
	served = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), served
}

// dead is an address where nobody listens.
func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newClient(t *testing.T, r *wire.Routes) (*Client, *Table) {
	t.Helper()
	table := &Table{}
	table.Set(r)
	c := NewClient(table, rand.New(rand.NewPCG(1, 2)).Float64, nil)
	t.Cleanup(c.Close)
	return c, table
}

func TestStatusBecomesError(t *testing.T) {
	ok, _ := serve(t, http.StatusOK)
	full, _ := serve(t, http.StatusServiceUnavailable)
	broken, _ := serve(t, http.StatusInternalServerError)
	c, _ := newClient(t, routes([]string{ok}, []string{full}, []string{broken}, nil, []string{dead(t)}))
	for service, want := range []error{nil, ErrRefused, ErrFailed, ErrNobody, ErrNobody, ErrNobody} {
		if err := c.Do(t.Context(), foresail.Target{Service: foresail.ServiceID(service)}, 0); !errors.Is(err, want) {
			t.Errorf("service %d: %v, not %v", service, err, want)
		}
	}
}

// Requests are spread over the replicas that are ready, and follow the table.
func TestBalancingFollowsTheTable(t *testing.T) {
	a, atA := serve(t, http.StatusOK)
	b, atB := serve(t, http.StatusOK)
	c, table := newClient(t, routes([]string{a}))
	ask := func(n int) {
		for range n {
			if err := c.Do(t.Context(), foresail.Target{}, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask(10)
	table.Set(routes([]string{a, b}))
	ask(200)
	if n := atB.Load(); n < 60 || n > 140 {
		t.Errorf("%d of 200 requests went to the second of two replicas", n)
	}
	table.Set(routes([]string{b}))
	before := atA.Load()
	ask(10)
	if atA.Load() != before {
		t.Error("a replica was asked that had left the table")
	}
}

// The less busy of two is taken, as far as this caller knows.
func TestPickAvoidsTheBusy(t *testing.T) {
	table := &Table{}
	table.Set(routes([]string{"a", "b"}))
	table.peers(0)[0].outstanding.Add(5)
	table.Set(routes([]string{"a", "b"})) // keeps the count
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		if p := table.pick(0, rng.Float64); p.address != "b" {
			t.Fatalf("the busy replica %s was picked", p.address)
		}
	}
}

// A replica that can't be reached is passed over, since it has not seen the request.
func TestDeadReplicaIsPassedOver(t *testing.T) {
	a, atA := serve(t, http.StatusOK)
	c, _ := newClient(t, routes([]string{dead(t), a, dead(t)}))
	for range 40 {
		if err := c.Do(t.Context(), foresail.Target{}, 0); err != nil {
			t.Error(err)
		}
	}
	if n := atA.Load(); n != 40 {
		t.Errorf("%d of 40 requests reached the one replica that lives", n)
	}
}

// Patience: each attempt has the timeout, and waits double, times a half to one and a half.
func TestAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{uniform: func() float64 { return 0.5 }} // waits are exactly the mean
		p := foresail.Patience{Timeout: time.Second, Retries: 3, Backoff: 100 * time.Millisecond}
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		start := time.Now()
		if err := c.Attempts(t.Context(), p, hang); err != ErrTimeout {
			t.Errorf("an attempt that hangs: %v", err)
		}
		if took := time.Since(start); took != 4*time.Second+700*time.Millisecond {
			t.Errorf("four attempts took %v", took)
		}
		n := 0
		err := c.Attempts(t.Context(), p, func(context.Context) error {
			if n++; n < 3 {
				return ErrRefused
			}
			return nil
		})
		if err != nil || n != 3 {
			t.Errorf("%d attempts, then %v", n, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		n = 0
		if err := c.Attempts(ctx, p, func(context.Context) error { n++; return ErrFailed }); err != ErrFailed || n != 1 {
			t.Errorf("a caller that gives up while it waits: %d attempts, %v", n, err)
		}
	})
}

func TestNested(t *testing.T) {
	for header, ok := range map[string]bool{"": true, "1": true, "255": true, "256": false, "x": true} {
		req := httptest.NewRequest(http.MethodGet, "/op/0", nil)
		if header != "" {
			req.Header.Set(depthHeader, header)
		}
		if _, got := Nested(t.Context(), req); got != ok {
			t.Errorf("depth %q: %v", header, got)
		}
	}
}
