package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A sketch that travels arrives with the same buckets, count and sum.
func TestSketchTravels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s, got Sketch
		for _, v := range rapid.SliceOf(rapid.Float64Range(-1, 100)).Draw(t, "values") {
			s.Add(v)
		}
		b, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		got.Add(5) // is replaced
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if got.Count() != s.Count() || got.Zero() != s.Zero() || math.Abs(got.Sum()-s.Sum()) > 1e-9 {
			t.Fatalf("%v values and sum %v became %v and %v", s.Count(), s.Sum(), got.Count(), got.Sum())
		}
		for _, q := range []float64{0, 0.5, 0.99, 1} {
			if a, b := s.Quantile(q), got.Quantile(q); a != b && !(math.IsNaN(a) && math.IsNaN(b)) {
				t.Fatalf("quantile %v was %v and became %v", q, a, b)
			}
		}
	})
}

func TestMessagesTravel(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	begin := time.Second
	for _, m := range []ToChild{{Routes: &Routes{Version: 3, Addresses: [][]string{{"a", "b"}, nil}}}, {Begin: &begin}, {Drain: true}} {
		if err := w.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	var got []ToChild
	if err := Read(&b, func(m ToChild) error { got = append(got, m); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Routes.Addresses[0][1] != "b" || *got[1].Begin != time.Second || !got[2].Drain || got[2].Routes != nil {
		t.Errorf("%+v", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("{\"ready\":\"127.0.0.1:1\"}\n{\"ack\":2}\n")
	f.Add("{\"figures\":{\"Endpoints\":[{\"Latency\":{\"zero\":-1,\"indexes\":[1,99999999],\"counts\":[2]}}]}}")
	f.Add("}\n")
	f.Fuzz(func(t *testing.T, s string) {
		n := 0
		err := Read(strings.NewReader(s), func(m ToParent) error {
			n++
			if m.Figures != nil {
				for _, e := range m.Figures.Endpoints {
					if c := e.Latency.Count(); c < 0 || math.IsNaN(c) {
						t.Errorf("count %v", c)
					}
				}
			}
			return nil
		})
		if err == nil && n > strings.Count(s, "\n")+1 {
			t.Errorf("%d messages from %q", n, s)
		}
	})
}

// The steady clock follows its epoch, not what the machine's clock says now: here the epoch's clock was an hour ahead.
func TestClockFollowsItsEpoch(t *testing.T) {
	e := NewEpoch()
	e.Wall += int64(time.Hour)
	first := NewClock(e)
	a := first.Now()
	b := NewClock(e).Now() // another process, a moment later
	if ahead := time.Until(a); ahead < 59*time.Minute || ahead > 61*time.Minute {
		t.Errorf("%v ahead, not an hour", ahead)
	}
	if d := b.Sub(a); d < 0 || d > time.Minute {
		t.Errorf("two clocks of one epoch are %v apart", d)
	}
	if at := first.At(90 * time.Second).Sub(time.Unix(0, e.Wall)); at != 90*time.Second || first.Now().Location() != time.UTC {
		t.Errorf("offset of 90 s is %v after the epoch", at)
	}
}

func TestSleepIsNeverShort(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 0, 50 * time.Microsecond, 3 * time.Millisecond} {
		start := time.Now()
		Sleep(d)
		if took := time.Since(start); took < d {
			t.Errorf("slept %v instead of %v", took, d)
		}
	}
}
