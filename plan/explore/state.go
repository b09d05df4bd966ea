package explore

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// state is what it has learnt and where it is.
type state struct {
	Arms       arms
	Log        []entry // what was done in the last seconds, oldest first
	Decided    int     // decisions so far
	Recovering int     // seconds of recovery in a row
	Holding    int     // seconds of holding that are left

	Spent     int           // seconds of violation that are final
	Unsettled int           // of the newest seconds, in which late requests may still become known
	Settled   time.Time     // up to where seconds are counted in Spent
	Since     time.Duration // how long was explored so far, over restarts
	Stopped   bool          // the budget is spent
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
	final := n.last.End.Add(-foresail.RevisionLimit)
	if s.Settled.After(n.last.End) { // time was put back
		s.Settled = time.Time{}
	}
	s.Unsettled = 0
	for _, sec := range n.seconds {
		if !sec.End.After(s.Settled) {
			continue
		}
		bad := n.violated(sec)
		if !sec.End.After(final) {
			s.Settled = sec.End
			s.Since += sec.Duration()
			if bad {
				s.Spent++
			}
		} else if bad {
			s.Unsettled++
		}
	}
	if m.c.Budget > 0 && m.Spent()+m.c.Reserve >= m.c.Budget {
		s.Stopped = true
	}
}

// ahead reports whether more of the budget is spent than its pace allows.
func (m *Manager) ahead() bool {
	if m.c.Budget == 0 || m.c.Pace == 0 {
		return false
	}
	share := m.state.Since.Seconds() / m.c.Pace.Seconds()
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
	least := cmp.Or(min(s.Decided, s.Recovering, s.Holding, s.Spent, s.Unsettled), 0)
	if least < 0 || s.Since < 0 || len(s.Log) > delay {
		return fmt.Errorf("explore: state: it counts %d decisions, %d and %d seconds of violation and %d actions: it is damaged", s.Decided, s.Spent, s.Unsettled, len(s.Log))
	}
	m.state = s
	return nil
}
