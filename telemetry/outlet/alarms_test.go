package outlet

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/loop"
)

func shop() *foresail.App {
	return &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front"}, {Name: "db"}, {Name: "cache"}}}
}

// teller plays a loop to Alarms.
type teller struct {
	h   *foresail.History
	a   Alarms
	at  time.Time
	got []*Message
}

func newTeller() *teller {
	t := &teller{h: foresail.NewHistory(shop(), foresail.Needs{Beats: 2}), at: at}
	t.a.Put = func(m *Message) { t.got = append(t.got, m) }
	return t
}

func (t *teller) step(d time.Duration, p *foresail.Plan) {
	s := &foresail.Snapshot{Start: t.at, End: t.at.Add(d)}
	t.at = s.End
	t.h.Add(s)
	e := t.a.Events()
	e.Observed(t.h, s)
	e.Decided(loop.Decision{At: s.End, Plan: p, Mode: loop.Auto, Applied: p != nil, Before: []foresail.Allocation{{}, {Replicas: 1, CPU: 2}, {}}})
}

func alarm(id foresail.ServiceID) *foresail.Plan {
	return &foresail.Plan{Manager: "seer(hpa)", Alarms: []foresail.Alarm{{Service: id, Probability: 0.9, Share: 0.8, Within: 500 * time.Millisecond, Text: "it comes"}},
		Changes: []foresail.Change{{Service: id, To: foresail.Allocation{Replicas: 1, CPU: 3}}}}
}

func TestAnAlarmIsOneMessage(t *testing.T) {
	w := newTeller()
	w.a.Diagnose = func(h *foresail.History, id foresail.ServiceID) Cause {
		if h.App().Services[id].Name != "db" {
			t.Error("asked for", id)
		}
		return Cause{"disk", "it waits", "move its neighbours"}
	}
	w.step(time.Second, nil)
	w.step(time.Second, alarm(1))
	if len(w.got) != 1 {
		t.Fatalf("%d messages", len(w.got))
	}
	m := w.got[0]
	if m.Status != Danger || m.Service != "db" || m.Resource != "disk" || m.Within != 0.5 || !m.Acted || m.Action != "db has been given 1 × 3 cores; it had 1 × 2 cores; move its neighbours" {
		t.Errorf("%+v", m)
	}
	w.step(time.Second, alarm(1)) // of a manager that knows nothing of it
	w.step(time.Second, &foresail.Plan{Over: []foresail.ServiceID{1, 2}})
	if len(w.got) != 2 || w.got[1].ID != m.ID || w.got[1].Status != Over || !w.got[1].Ended.Equal(w.at) {
		t.Errorf("%+v", w.got)
	}
}

// Where a danger lasts it is told again each minute, and nothing is for ever: a manager may have been replaced.
func TestADangerThatLasts(t *testing.T) {
	w := newTeller()
	w.step(time.Second, alarm(1))
	for range 9*60 + 30 {
		w.step(time.Second, nil)
	}
	if len(w.got) != 10 || !w.got[9].again || w.got[9].Status != Danger {
		t.Errorf("%d messages in nine and a half minutes", len(w.got))
	}
	for range 60 {
		w.step(time.Second, nil)
	}
	if n := len(w.got); n != 11 || w.got[10].Status != Over || w.got[10].again {
		t.Errorf("%d messages in ten and a half minutes", n)
	}
}

// Against a set: each danger begins once before it is over once, whatever comes.
func TestBeginsOnceAndEndsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTeller()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			p := &foresail.Plan{Manager: "m"}
			for _, id := range rapid.SliceOfN(rapid.IntRange(-1, 3), 0, 2).Draw(t, "alarms") {
				p.Alarms = append(p.Alarms, foresail.Alarm{Service: foresail.ServiceID(id)})
			}
			for _, id := range rapid.SliceOfN(rapid.IntRange(-1, 3), 0, 2).Draw(t, "over") {
				p.Over = append(p.Over, foresail.ServiceID(id))
			}
			w.step(time.Duration(rapid.IntRange(1, 200).Draw(t, "s"))*time.Second, p)
		}
		lasting, ids := map[string]bool{}, map[string]bool{}
		for _, m := range w.got {
			switch {
			case m.Status == Over && !lasting[m.Service], m.Status == Danger && m.again != lasting[m.Service]:
				t.Fatalf("%s %s, again %v, while %v", m.Service, m.Status, m.again, lasting)
			case m.Status == Danger && !m.again:
				if ids[m.ID] {
					t.Fatalf("two dangers are %s", m.ID)
				}
				ids[m.ID] = true
			}
			lasting[m.Service] = m.Status == Danger
		}
	})
}

func ExampleMessage_Summary() {
	m := Message{Application: "shop", Service: "db", Probability: 0.83, Within: 0.5, Status: Danger}
	fmt.Println(m.Summary())
	m.Status = Over
	fmt.Println(m.Summary())
	// Output:
	// shop: db is about to start a violation within 500ms (probability 0.83)
	// shop: the danger at db is over
}
