package store
import ("testing";"context";"math")
func (s *Store) Debug(t *testing.T) {
	at, err := s.fine.intervals(context.Background(), 0, math.MaxInt64/2)
	t.Log(len(at), err, s.fine.first, s.fine.last, s.fine.begin(), s.minutes.first, s.minutes.last)
	if len(at) > 0 { t.Log(at[0], at[len(at)-1]) }
	for _, b := range s.fine.db.Blocks() { t.Log(b.Meta().MinTime, b.Meta().MaxTime, b.Meta().Stats) }
	t.Log(s.fine.db.Head().MinTime(), s.fine.db.Head().MaxTime())
}
