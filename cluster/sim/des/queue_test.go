package des

import (
	"fmt"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// drain lists what happens before limit, as "time:A".
func drain(q *Queue, limit int64) (out []string) {
	for {
		e, ok := q.Next(limit)
		if !ok {
			return out
		}
		out = append(out, fmt.Sprintf("%d:%d", q.Now(), e.A))
	}
}

func ev(a int32) Event { return Event{A: a} }

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("order %v, want %v", got, want)
	}
}

func TestOrderIsTimeThenSequence(t *testing.T) {
	var q Queue
	q.At(20, ev(1))
	q.At(10, ev(2))
	q.At(20, ev(3))
	q.At(10, ev(4))
	q.At(0, ev(5))
	expect(t, drain(&q, 100), "0:5", "10:2", "10:4", "20:1", "20:3")
	if q.Now() != 100 {
		t.Fatalf("the clock stands at %d, want the limit", q.Now())
	}
}

func TestLimitIsExclusive(t *testing.T) {
	var q Queue
	q.At(10, ev(1))
	expect(t, drain(&q, 10))
	expect(t, drain(&q, 11), "10:1")
}

func TestSoonComesAfterWhatIsDueAndBeforeWhatComesLater(t *testing.T) {
	var q Queue
	q.At(10, ev(1))
	q.At(10, ev(2))
	q.At(11, ev(3))
	if e, _ := q.Next(100); e.A != 1 {
		t.Fatal("first event")
	}
	q.Soon(ev(4))
	q.At(10, ev(5))
	q.Soon(ev(6))
	expect(t, drain(&q, 100), "10:2", "10:4", "10:5", "10:6", "11:3")
}

func TestMoveSchedulesAnew(t *testing.T) {
	var q Queue
	a := q.At(10, ev(1))
	b := q.At(30, ev(2))
	q.At(20, ev(3))
	q.Move(a, 20) // after the one that is already there
	q.Move(b, 5)
	expect(t, drain(&q, 100), "5:2", "20:3", "20:1")
}

func TestPastPanics(t *testing.T) {
	var q Queue
	q.At(10, ev(1))
	drain(&q, 50)
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	q.At(49, ev(2))
}

// The oracle is a list sorted by (time, sequence) before each step.
func TestQueueAgainstSortedList(t *testing.T) {
	type item struct {
		at     int64
		seq    int
		a      int32
		handle Handle
	}
	rapid.Check(t, func(t *rapid.T) {
		var q Queue
		var list []item
		seq, next := 0, int32(0)
		steps := rapid.IntRange(1, 300).Draw(t, "steps")
		for range steps {
			seq++
			switch rapid.IntRange(0, 5).Draw(t, "do") {
			case 0, 1:
				next++
				at := q.Now() + rapid.Int64Range(0, 20).Draw(t, "delay")
				list = append(list, item{at, seq, next, q.At(at, ev(next))})
			case 2:
				next++
				q.Soon(ev(next))
				list = append(list, item{q.Now(), seq, next, None})
			case 3, 4:
				if len(list) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(list)-1).Draw(t, "which")
				if list[i].handle == None {
					continue
				}
				if rapid.Bool().Draw(t, "cancel") {
					q.Cancel(list[i].handle)
					list = append(list[:i], list[i+1:]...)
					continue
				}
				at := q.Now() + rapid.Int64Range(0, 20).Draw(t, "delay")
				q.Move(list[i].handle, at)
				if q.Time(list[i].handle) != at {
					t.Fatalf("moved to %d, want %d", q.Time(list[i].handle), at)
				}
				list[i].at, list[i].seq = at, seq
			case 5:
				sort.Slice(list, func(i, j int) bool {
					return list[i].at < list[j].at || list[i].at == list[j].at && list[i].seq < list[j].seq
				})
				limit := q.Now() + rapid.Int64Range(1, 10).Draw(t, "ahead")
				e, ok := q.Next(limit)
				want := len(list) > 0 && list[0].at < limit
				if ok != want {
					t.Fatalf("Next says %v, want %v", ok, want)
				}
				if ok {
					if e.A != list[0].a || q.Now() != list[0].at {
						t.Fatalf("event %d at %d, want %d at %d", e.A, q.Now(), list[0].a, list[0].at)
					}
					list = list[1:]
				}
			}
			if q.Len() != len(list) {
				t.Fatalf("%d events left, want %d", q.Len(), len(list))
			}
		}
	})
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	var q Queue
	for i := range 100 {
		q.At(int64(i), ev(int32(i)))
	}
	step := func() {
		e, _ := q.Next(1 << 62)
		h := q.At(q.Now()+50, e)
		q.Move(h, q.Now()+100)
		q.Soon(e)
		q.Next(1 << 62)
		q.Cancel(q.At(q.Now()+1, e))
	}
	for range 1000 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Fatalf("%v allocations per step", n)
	}
}

func BenchmarkQueue(b *testing.B) {
	for _, size := range []int{100, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var q Queue
			for i := range size {
				q.At(int64(i*7919%size), ev(int32(i)))
			}
			b.ReportAllocs()
			for b.Loop() {
				e, _ := q.Next(1 << 62)
				q.At(q.Now()+int64(size)+int64(e.A&15), e)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
