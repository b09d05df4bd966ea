package write_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"foresail.dev/telemetry/prom/write"
)

func TestQueueSendsAllInOrder(t *testing.T) {
	s := newServer(t)
	q := write.NewQueue(client(t, write.Config{URL: s.URL, PerSend: 7}), 0, nil)
	for i := range int64(100) {
		q.Add([]write.Sample{counter("a_total", i, float64(i)), counter("b_total", i, 1)})
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.samples()
	if len(got) != 200 {
		t.Fatalf("%d samples of 200 arrive", len(got))
	}
	for i, x := range got {
		if x.T != int64(i/2) {
			t.Fatalf("sample %d is of time %d", i, x.T)
		}
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error("a second Close:", err)
	}
	q.Add([]write.Sample{counter("a_total", 1000, 1)})
	if n := q.Stats().DroppedLate; n != 1 {
		t.Errorf("%d samples counted as dropped after the end", n)
	}
}

// A server that is away costs bounded memory and no time: the oldest samples go, and are counted.
func TestQueueDropsTheOldestAndNeverWaits(t *testing.T) {
	s := newServer(t)
	hold, held := make(chan struct{}), make(chan struct{}, 1000)
	s.fail = func(int, http.ResponseWriter, *http.Request) bool {
		held <- struct{}{}
		<-hold
		return false
	}
	const limit = 10_000
	q := write.NewQueue(client(t, write.Config{URL: s.URL, PerSend: 1}), limit, nil)
	q.Add([]write.Sample{counter("a_total", 0, 0)})
	<-held // the first is under way
	for i := int64(1); i < 1000; i++ {
		q.Add([]write.Sample{counter("a_total", i, 0)})
	}
	st := q.Stats()
	if st.Bytes > limit || st.DroppedFull == 0 {
		t.Errorf("%d bytes of %d, %d dropped", st.Bytes, limit, st.DroppedFull)
	}
	close(hold)
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.samples()
	if n := uint64(len(got)) + st.DroppedFull; n != 1000 {
		t.Errorf("%d sent and %d dropped of 1000", len(got), st.DroppedFull)
	}
	if last := got[len(got)-1].T; last != 999 {
		t.Errorf("the newest of what arrived is %d", last)
	}
}

func TestQueueEndsInBoundedTime(t *testing.T) {
	s := newServer(t)
	s.fail = status(http.StatusServiceUnavailable, "")
	q := write.NewQueue(client(t, write.Config{URL: s.URL}), 0, nil)
	q.Add([]write.Sample{counter("a_total", 1, 0)})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	err := q.Close(ctx)
	if err == nil || !strings.Contains(err.Error(), "1 samples were not sent") {
		t.Error(err)
	}
}

func TestQueueGoesOnAfterARefusal(t *testing.T) {
	s := newServer(t)
	s.fail = func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			http.Error(w, "no", http.StatusForbidden)
		}
		return n == 1
	}
	var told []error
	q := write.NewQueue(client(t, write.Config{URL: s.URL, PerSend: 1}), 0, func(err error) { told = append(told, err) })
	q.Add([]write.Sample{counter("a_total", 1, 0)})
	q.Add([]write.Sample{counter("a_total", 2, 0)})
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || len(s.samples()) != 1 || q.Stats().Refused != 1 {
		t.Errorf("told %v, %d samples arrive, %d refused", told, len(s.samples()), q.Stats().Refused)
	}
}

func BenchmarkQueueAdd(b *testing.B) {
	c, err := write.New(write.Config{URL: "http://127.0.0.1:1/"}) // nobody listens there
	if err != nil {
		b.Fatal(err)
	}
	q := write.NewQueue(c, 1<<20, nil)
	batch := []write.Sample{counter("a_total", 1, 1), latency(1)}
	b.ReportAllocs()
	for b.Loop() {
		q.Add(batch)
	}
	b.StopTimer()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q.Close(ctx)
}
