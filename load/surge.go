package load

import "time"

// Surge is when much more comes than before and after: a spike or a flash crowd.
type Surge struct {
	Start time.Duration // when the level begins to rise
	End   time.Duration // when it is down again; of a flash crowd, down to 1/e of its height above the base
}

// Surges are the curve's spikes and flash crowds that rise above their base, in order. Bursts, whose instants are drawn,
// and traces tell of none.
func (l *Load) Surges() (out []Surge) {
	at := time.Duration(0)
	for i := range l.Curve {
		s := &l.Curve[i]
		length := time.Duration(0)
		switch s.Shape {
		case Spike:
			length = s.Width
		case Flash:
			length = s.Rise + s.Hold + s.Decay
		}
		if length > 0 && s.To > s.From && (s.For <= 0 || s.At < s.For) {
			end := at + s.At + length
			if s.For > 0 {
				end = min(end, at+s.For)
			}
			out = append(out, Surge{at + s.At, end})
		}
		if s.For <= 0 {
			break
		}
		at += s.For
	}
	return out
}
