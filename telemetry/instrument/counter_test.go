package instrument

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foresail.dev/telemetry/instrument/internal/cpu"
)

// Whatever begins and ends when, an interval's mean is the area under the number in flight, and the counts are those of
// the list of requests.
func TestMeanIsTheArea(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			table := newTable(8)
			m := &meter{table: table, began: ticks()}
			e := table.endpoint("e")
			type request struct{ from, to time.Duration }
			var all []request
			start := time.Now()
			var wg sync.WaitGroup
			for range r.IntN(200) {
				q := request{from: time.Duration(r.IntN(900)) * time.Millisecond}
				q.to = q.from + time.Duration(r.ExpFloat64()*float64(50*time.Millisecond))
				all = append(all, q)
				wg.Go(func() {
					time.Sleep(q.from)
					b := e.Begin()
					time.Sleep(q.to - q.from)
					b.End(q.to%3 == 0)
				})
			}
			time.Sleep(time.Microsecond) // beats end between requests, not at one
			for i := range 10 {
				from := time.Since(start)
				if i == 0 {
					from = 0
				}
				time.Sleep(beat)
				synctest.Wait()
				m.turn(ticks())
				to := time.Since(start)
				var area float64
				var arrived, done, failed, open uint64
				for _, q := range all {
					if d := min(q.to, to) - max(q.from, from); d > 0 {
						area += d.Seconds()
					}
					if q.from <= to {
						arrived++
						open++
					}
					if q.to <= to {
						done++
						open--
						if q.to%3 == 0 {
							failed++
						}
					}
				}
				o := &m.all[0]
				want := area / (to - from).Seconds()
				if math.Abs(o.inFlight.mean-want) > 1e-5*float64(len(all)) { // two readings of 16 ns each
					t.Fatalf("seed %d, interval %d: mean %g, want %g", seed, i, o.inFlight.mean, want)
				}
				if o.arrivals != arrived || o.done != done || o.failed != failed || o.inFlight.last != float64(open) {
					t.Fatalf("seed %d: %+v, want %d arrivals, %d ends, %d failures, %d open", seed, o, arrived, done, failed, open)
				}
				m.begin()
			}
			wg.Wait()
		})
	}
}

// Requests that begin and end on all cores at once are all counted, and none is left.
func TestParallel(t *testing.T) {
	table := newTable(4)
	m := &meter{table: table, began: ticks()}
	const workers, each = 8, 20_000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				table.endpoint(fmt.Sprint(w % 2)).Begin().End(i%10 == 0)
			}
		})
	}
	stop := make(chan struct{})
	go func() { wg.Wait(); close(stop) }()
	var before [2]uint64
	for running := true; running; {
		select {
		case <-stop:
			running = false
		default:
		}
		m.turn(ticks())
		for i := range m.all {
			o := &m.all[i]
			if o.arrivals < before[i] || o.inFlight.last > workers || o.inFlight.mean < 0 {
				t.Fatalf("%+v", o)
			}
			before[i] = o.arrivals
		}
	}
	total := uint64(0)
	for i := range m.all {
		o := &m.all[i]
		total += o.done
		if o.inFlight.last != 0 || o.failed != workers/2*each/10 || o.done != o.arrivals {
			t.Errorf("%+v", o)
		}
	}
	if total != workers*each {
		t.Errorf("%d requests were counted of %d", total, workers*each)
	}
}

// More names than fit are counted as other, whatever they are, and the memory stays as it is.
func TestNamesAreBounded(t *testing.T) {
	table := newTable(10)
	for i := range 10_000 {
		table.endpoint(fmt.Sprintf("GET /users/%d\xff", i)).Begin().End(false)
	}
	names := map[string]uint64{}
	for _, e := range table.endpoints() {
		_, _, done, _ := e.area(ticks())
		names[e.name] = done
	}
	if len(names) != 10 || names[Other] != 10_000-9 || names["GET /users/0\uFFFD"] != 1 {
		t.Errorf("%v", names)
	}
	if table.endpoint(Other) != table.endpoint("yet another") {
		t.Error("other is not other")
	}
	if n := len(clip(string(make([]byte, 1000)))); n != maxName {
		t.Errorf("a name of %d bytes was kept", n)
	}
	var none *Instrument
	none.Server("e").Begin().End(true) // counts nothing
	none.Close()
}

// The cost of counting one request: at most 150 ns.
func BenchmarkRequest(b *testing.B) {
	table := newTable(16)
	table.endpoint("GET /cart/{id}")
	b.ReportAllocs()
	defer cpu.Measure(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			table.endpoint("GET /cart/{id}").Begin().End(false)
		}
	})
}

// The cost of a beat with so many endpoints in use, readings and encoding included.
func BenchmarkReport(b *testing.B) {
	table := newTable(128)
	for i := range 20 {
		table.endpoint(fmt.Sprintf("GET /endpoint/%d", i))
	}
	m, none := &meter{table: table, began: ticks()}, &meter{table: newTable(4)}
	enc := newEncoder("cart", "cart-1", time.Now())
	b.ReportAllocs()
	for b.Loop() {
		for range readings {
			m.read()
		}
		m.turn(ticks())
		b.SetBytes(int64(len(enc.report(span{time.Now(), time.Now()}, m, none))))
		m.begin()
	}
}
