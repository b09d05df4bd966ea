package explore

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// state is what it has learnt and where it is.
type state struct {
	Arms       arms
	Log        []entry   // what was done in the last seconds, oldest first
	Decided    int       // decisions so far
	Warm       int       // seconds at the maximum since the start
	Last       time.Time // the end of the second that was last decided on
	Recovering int       // seconds of recovery in a row
	Holding    int       // seconds of holding that are left, after a recovery
	Dwelling   int       // seconds of holding that are left, by chance

	Spent   int       // seconds of violation that are final
	Open    []mark    // the newest seconds, oldest first: late requests may still become known in them
	Settled time.Time // up to where seconds are counted in Spent
	Final   int       // seconds that are final
	Stopped bool      // the budget is spent
}

// mark says of a second whether an objective was violated in it, as far as is known.
type mark struct {
	End time.Time
	Bad bool
}

// entry is what was done in one second.
type entry struct {
	Hidden hidden
	Milli  []int32 // by ServiceID, thousandths of a core that it was to have; 0: not known
}

// amend puts what is in effect in the place of what the last action asked for: a cluster may give less, or later. It tells
// whether there was an action.
func (s *state) amend(n *now) bool {
	if len(s.Log) == 0 {
		return false
	}
	last := &s.Log[len(s.Log)-1]
	for i := range last.Milli {
		st := plan.Stats(n.last, foresail.ServiceID(i))
		if st != nil && st.Has.Has(foresail.SignalAllocation) && last.Milli[i] != 0 {
			last.Milli[i] = milli(st.Allocation.Cores())
		}
	}
	return true
}

// credit counts what the newest second says of the actions before it.
func (s *state) credit(violated bool) {
	if violated {
		for _, e := range s.Log {
			s.count(e, count{viol: 1})
		}
		s.Log = nil
		return
	}
	for len(s.Log) >= delay {
		s.count(s.Log[0], count{sat: 1})
		s.Log = slices.Delete(s.Log, 0, 1)
	}
}

func (s *state) count(e entry, by count) {
	for i, c := range e.Milli {
		if c != 0 {
			a := arm{e.Hidden, int32(i), c}
			have := s.Arms[a]
			s.Arms[a] = count{have.sat + by.sat, have.viol + by.viol}
		}
	}
}

// spend counts seconds of violation, anew for those that late requests may still change, and stops before there are too
// many.
func (m *Manager) spend(n *now) {
	s := &m.state
	if s.Warm < m.c.Warmup {
		s.settle(time.Unix(math.MaxInt32, 0)) // what is open is from before a restart
		s.Settled = n.last.End
		return
	}
	if s.Settled.After(n.last.End) { // time was put back
		s.settle(s.Settled.Add(foresail.RevisionLimit))
		s.Settled = time.Time{}
	}
	for _, sec := range n.seconds {
		if !sec.End.After(s.Settled) {
			continue
		}
		now := mark{sec.End, n.violated(sec)}
		if i := slices.IndexFunc(s.Open, func(o mark) bool { return o.End.Equal(now.End) }); i >= 0 {
			s.Open[i] = now
		} else {
			s.Open = append(s.Open, now)
		}
	}
	s.settle(n.last.End)
	if m.c.Budget > 0 && m.Spent()+m.c.Reserve >= m.c.Budget {
		s.Stopped = true
	}
}

// settle counts the seconds that are final at an instant.
func (s *state) settle(now time.Time) {
	final := now.Add(-foresail.RevisionLimit)
	s.Open = slices.DeleteFunc(s.Open, func(o mark) bool {
		if o.End.After(final) {
			return false
		}
		s.Final++
		if o.Bad {
			s.Spent++
		}
		if o.End.After(s.Settled) {
			s.Settled = o.End
		}
		return true
	})
}

// ahead reports whether more of the budget is spent than its pace allows.
func (m *Manager) ahead() bool {
	if m.c.Budget == 0 || m.c.Pace == 0 {
		return false
	}
	share := float64(m.state.Final) / m.c.Pace.Seconds()
	return m.Spent() > m.c.Reserve+time.Duration(share*float64(m.c.Budget-2*m.c.Reserve))
}

// arms are kept as rows of numbers, in order, so that the same state has the same bytes.
type arms map[arm]count

// MarshalJSON writes [before, now, rate, service, thousandths of a core, satisfied, violated] for each.
func (a arms) MarshalJSON() ([]byte, error) {
	rows := make([][7]int32, 0, len(a))
	for k, c := range a {
		rows = append(rows, [7]int32{k.before, k.now, k.rate, k.service, k.milli, c.sat, c.viol})
	}
	slices.SortFunc(rows, func(x, y [7]int32) int { return slices.Compare(x[:], y[:]) })
	return json.Marshal(rows)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *arms) UnmarshalJSON(b []byte) error {
	var rows [][]int32
	if err := json.Unmarshal(b, &rows); err != nil {
		return err
	}
	*a = make(arms, len(rows))
	for i, r := range rows {
		if len(r) != 7 || slices.Min(r) < 0 {
			return fmt.Errorf("arm %d is %v: it must have seven numbers, none below 0", i, r)
		}
		(*a)[arm{hidden{r[0], r[1], r[2]}, r[3], r[4]}] = count{r[5], r[6]}
	}
	return nil
}

// MarshalJSON writes three numbers.
func (h hidden) MarshalJSON() ([]byte, error) { return json.Marshal([3]int32{h.before, h.now, h.rate}) }

// UnmarshalJSON reads them.
func (h *hidden) UnmarshalJSON(b []byte) error {
	var v [3]int32
	err := json.Unmarshal(b, &v)
	*h = hidden{v[0], v[1], v[2]}
	return err
}

// Save keeps what was learnt, and what of the budget is spent.
func (m *Manager) Save() ([]byte, error) { return json.Marshal(&m.state) }

// Restore takes back what Save kept.
func (m *Manager) Restore(b []byte) error {
	s := state{Arms: arms{}}
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("explore: state: %w", err)
	}
	if s.Arms == nil {
		s.Arms = arms{}
	}
	if min(s.Decided, s.Warm, s.Recovering, s.Holding, s.Dwelling, s.Spent, s.Final-s.Spent) < 0 || len(s.Log) > delay || len(s.Open) > 100*delay {
		return fmt.Errorf("explore: state: it counts %d decisions, %d of %d seconds in violation, %d that are open and %d actions: it is damaged",
			s.Decided, s.Spent, s.Final, len(s.Open), len(s.Log))
	}
	m.state = s
	return nil
}
