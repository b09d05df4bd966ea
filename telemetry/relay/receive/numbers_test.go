package receive

import (
	"errors"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/relay/wire"
	"pgregory.net/rapid"
)

// counter is a sink that counts the requests of parts.
type counter struct{ requests float64 }

func (*counter) App() *foresail.App { return &foresail.App{Name: "shop"} }
func (c *counter) AddPart(_ time.Time, p *telemetry.Part) {
	for _, u := range p.Units {
		for _, x := range u.Cells {
			c.requests += x.Completions
		}
	}
}

// Against a stupid oracle, a set of numbers: whatever comes again, or out of turn, or over a stream that another one has
// replaced, each part counts once at most, and what is missing from the numbers is counted.
func TestEachPartCountsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sink := &counter{}
		r := New(Config{}, sink)
		var streams []*session
		newest, began := map[uint64]uint64{}, map[uint64]bool{} // by life
		want, missing, duplicate := 0.0, uint64(0), uint64(0)
		instance := uint64(1)
		open := func() {
			s, a, err := r.open(&wire.Hello{Version: wire.Version, Name: "a", Instance: instance}, 5, func() {})
			if err != nil || a.Welcome == nil || a.Seq != newest[instance] || a.Clock.Sent != 5 {
				t.Fatalf("%v: %+v, want %d", err, a, newest[instance])
			}
			streams = append(streams, s)
		}
		open()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				open()
			case 1: // it is killed and starts again, or one that has the same name comes back
				instance = rapid.Uint64Range(1, 5).Draw(t, "life")
				open()
			default:
				s := streams[rapid.IntRange(max(len(streams)-2, 0), len(streams)-1).Draw(t, "stream")]
				seq := rapid.Uint64Range(1, newest[instance]+3).Draw(t, "seq")
				p := &wire.Part{Seq: seq, Content: telemetry.Part{Until: 1, Units: []telemetry.PartUnit{{Cells: []telemetry.PartCell{{Completions: 1}}}}}}
				a, err := s.take(p, 7)
				if s != streams[len(streams)-1] {
					if !errors.Is(err, errReplaced) {
						t.Fatalf("a stream that was replaced: %v", err)
					}
					continue
				}
				if seq > newest[instance] {
					want++
					if began[instance] {
						missing += seq - newest[instance] - 1
					}
					newest[instance], began[instance] = seq, true
				} else {
					duplicate++
				}
				if err != nil || a.Seq != newest[instance] || a.Welcome != nil || a.Clock.Sent != 7 {
					t.Fatalf("%v: %+v, want %d", err, a, newest[instance])
				}
			}
			if s := r.Stats(); sink.requests != want || s.Missing != missing || s.Duplicate != duplicate || s.Parts != uint64(want) {
				t.Fatalf("%g requests, want %g; %d missing, want %d: %+v", sink.requests, want, missing, duplicate, s)
			}
		}
	})
}

// An ingester that was heard of within two seconds and has not told up to the end of a cut is missing from it; one that was not
// is silent, until it tells again; one that said that it ends is neither; a minute later it is forgotten, but not what it counted.
func TestWhoIsMissingFromACut(t *testing.T) {
	now := time.Unix(1000, 0)
	var said []string
	r := New(Config{Now: func() time.Time { return now }, Log: func(l string) { said = append(said, l) }, Max: 2}, &counter{})
	seq := map[string]uint64{}
	open := func(name string) *session {
		s, _, err := r.open(&wire.Hello{Version: wire.Version, Name: name, Instance: 1}, 0, func() {})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tell := func(s *session, until time.Time, bye bool) {
		seq[s.g.name]++
		if _, err := s.take(&wire.Part{Seq: seq[s.g.name], Bye: bye, Stats: &telemetry.Stats{Received: 5}, Content: telemetry.Part{Until: until.UnixNano()}}, 0); err != nil {
			t.Fatal(err)
		}
	}
	cut := func(incomplete uint64, silent int) {
		t.Helper()
		now = now.Add(100 * time.Millisecond)
		r.Cut(now.Add(-150 * time.Millisecond))
		if s := r.Stats(); s.Incomplete != incomplete || s.Silent != silent {
			t.Fatalf("want %d incomplete, %d silent: %+v", incomplete, silent, s)
		}
	}
	a, b := open("a"), open("b")
	if _, _, err := r.open(&wire.Hello{Version: wire.Version, Name: "c"}, 0, nil); err == nil {
		t.Error("a third is taken")
	}
	if _, _, err := r.open(&wire.Hello{Version: 9, Name: "a"}, 0, nil); err == nil {
		t.Error("another version is taken")
	}
	tell(a, now, false)
	tell(b, now, false)
	cut(0, 0)
	tell(a, now, false)
	cut(1, 0) // b has not told
	for range 19 {
		tell(a, now, false)
		now = now.Add(100 * time.Millisecond)
	}
	tell(a, now, false)
	cut(1, 1)
	tell(a, now, false)
	tell(b, now, false)
	cut(1, 0)
	tell(b, now, true)
	b.close()
	tell(a, now, false)
	now = now.Add(70 * time.Second)
	tell(a, now, false)
	cut(1, 0)
	if s := r.Stats(); len(s.Ingesters) != 1 || s.Spans.Received != 10 || s.Refused != 2 {
		t.Errorf("%+v", s)
	}
	if len(said) != 5 {
		t.Errorf("%q", said)
	}
}

// One that begins again and again is refused after some times, so that it can't make the daemon remember without end; a minute
// later its lives are forgotten, and what it counted in them is not.
func TestAnIngesterThatBeginsAgainAndAgain(t *testing.T) {
	now := time.Unix(1000, 0)
	r := New(Config{Now: func() time.Time { return now }}, &counter{})
	begin := func(instance uint64) error {
		s, _, err := r.open(&wire.Hello{Version: wire.Version, Name: "a", Instance: instance}, 0, func() {})
		if err == nil {
			_, err = s.take(&wire.Part{Seq: 1, Stats: &telemetry.Stats{Received: 1, Waiting: 1}, Content: telemetry.Part{Until: 1}}, 0)
		}
		return err
	}
	for i := range uint64(maxLives) {
		if err := begin(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := begin(100); err == nil || len(r.ingesters["a"].lives) != maxLives {
		t.Errorf("%v with %d lives", err, len(r.ingesters["a"].lives))
	}
	if now = now.Add(2 * forgotten); begin(100) != nil {
		t.Error("it is refused for ever")
	}
	if s := r.Stats(); s.Spans.Received != maxLives+1 || s.Spans.Waiting != 1 || len(r.ingesters["a"].lives) > 2 || s.Refused != 1 {
		t.Errorf("%d lives, %+v", len(r.ingesters["a"].lives), s)
	}
}
