package acting

import (
	"time"

	"foresail.dev/cmd/foresail/seeing"
	"foresail.dev/model/foresee/label"
)

// before is how long before an episode of no fault's something may have been seen of it.
const before = 5 * time.Second

// fate is what became, under the wrapped manager, of one episode that there was under the manager alone.
type fate struct {
	cause    string
	foreseen bool // something was in danger from when it could be seen until the objective was broken
	named    bool // the culprit was
	known    bool // there is a culprit to name
	avoided  bool // no objective was broken in the time that belongs to it
}

// span is the time that belongs to an episode in both runs: from the beginning of the fault that broke it to five seconds after its
// end, or, where there was none, from five seconds before it broke to five seconds after it ended.
func (m *managed) span(e *label.Episode) (from, to time.Time) {
	if f := m.Fault(e.Broken); f != nil {
		at := m.Run.Start.Add(f.At)
		return at, at.Add(f.For + seeing.Recent)
	}
	return e.Broken.Add(-before), e.End.Add(before)
}

// fates are of each episode of the run alone that began after a start in which models see too little.
func fates(alone, wrapped *managed) []fate {
	var out []fate
	for i := range alone.Run.Episodes {
		e := &alone.Run.Episodes[i]
		from, to := alone.span(e)
		f := fate{cause: alone.Causes[i], known: e.Culprit != label.Nobody, avoided: true}
		for k := range wrapped.dangers {
			d := &wrapped.dangers[k]
			if d.from.Before(e.Broken) && !d.to.Before(from) {
				f.foreseen = true
				f.named = f.named || d.service == e.Culprit
			}
		}
		for k := range wrapped.Run.Episodes {
			w := &wrapped.Run.Episodes[k]
			if !w.Broken.After(to) && !w.End.Before(from) {
				f.avoided = false
			}
		}
		out = append(out, f)
	}
	return out
}

// added are the episodes of the wrapped run that belong to none of the run alone.
func added(alone, wrapped *managed) (n int) {
	for k := range wrapped.Run.Episodes {
		w := &wrapped.Run.Episodes[k]
		there := false
		for i := range alone.Run.Episodes {
			from, to := alone.span(&alone.Run.Episodes[i])
			there = there || !w.Broken.After(to) && !w.End.Before(from)
		}
		if !there {
			n++
		}
	}
	return n
}

// falseAlarms are the dangers in whose time neither run had an episode, and the core-seconds that they cost.
func falseAlarms(alone, wrapped *managed) (n int, extra float64) {
	for k := range wrapped.dangers {
		d := &wrapped.dangers[k]
		right := false
		for _, m := range [...]*managed{alone, wrapped} {
			for i := range m.Run.Episodes {
				e := &m.Run.Episodes[i]
				right = right || d.touches(e.Start.Add(-before), e.End)
			}
		}
		if !right {
			n++
			extra += d.extra
		}
	}
	return n, extra
}

// violated is how many seconds lay in episodes, from when each was broken to the end of its last violated window.
func (m *managed) violated() (s float64) {
	for i := range m.Run.Episodes {
		e := &m.Run.Episodes[i]
		s += max(e.End.Sub(e.Broken), 0).Seconds()
	}
	return s
}

// sum is the core-seconds of all dangers.
func (m *managed) extra() (s float64) {
	for i := range m.dangers {
		s += m.dangers[i].extra
	}
	return s
}
