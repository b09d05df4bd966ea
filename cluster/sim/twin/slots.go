package twin

// slot is the n-th call of a visit to one operation.
type slot struct {
	op     int // the callee's
	n      int // its number among the calls of a visit to op, from 0
	seen   int // visits that make it
	late   int // of those, in which it outlives the visit
	async  bool
	beside map[int]int // by other slot: visits in which they run side by side, and neither follows another
	behind map[int]int // by other slot: visits in which it begins when that has just ended, while others run
}

// votes is what the visits of an operation say about its calls.
type votes struct {
	slots  []slot
	visits int
	both   map[[2]int]int // visits that make both slots, the smaller number first
	before map[[2]int]int // visits in which the first begins before the second
}

// Shares of visits that decide.
const (
	asyncShare  = 0.02  // that a call outlives its visit
	certain     = 0.995 // that a call is always made
	together    = 0.98  // that one call is made whenever another is
	branchShare = 0.05  // that a call begins within a step, after another
)

// count takes the votes of an operation's visits. It numbers the slots of their calls.
func count(visits []*visit) *votes {
	v := &votes{visits: len(visits), both: map[[2]int]int{}, before: map[[2]int]int{}}
	numbers := map[[2]int]int{}
	for _, x := range visits {
		nth := map[int]int{}
		for i := range x.calls {
			c := &x.calls[i]
			key := [2]int{c.op, nth[c.op]}
			nth[c.op]++
			number, ok := numbers[key]
			if !ok {
				number = len(v.slots)
				numbers[key] = number
				v.slots = append(v.slots, slot{op: key[0], n: key[1], beside: map[int]int{}, behind: map[int]int{}})
			}
			c.slot = number
			v.slots[number].seen++
			if c.end > x.end {
				v.slots[number].late++
			}
		}
	}
	for i := range v.slots {
		v.slots[i].async = float64(v.slots[i].late) > asyncShare*float64(v.slots[i].seen)
	}
	for _, x := range visits {
		v.walk(x)
	}
	return v
}

// walk goes through a visit's calls in the order in which they began.
func (v *votes) walk(x *visit) {
	var step []*call // the calls of the step that goes on
	for i := range x.calls {
		c := &x.calls[i]
		for k := range i {
			e := &x.calls[k]
			v.both[pair(e.slot, c.slot)]++
			v.before[[2]int{e.slot, c.slot}]++
		}
		if v.slots[c.slot].async {
			continue
		}
		var running, ended *call
		for _, e := range step {
			switch {
			case e.end > c.start:
				running = e
			case ended == nil || e.end > ended.end:
				ended = e
			}
		}
		switch {
		case running == nil:
			step = step[:0]
		case ended != nil:
			v.slots[c.slot].behind[ended.slot]++
		default:
			for _, e := range step {
				v.slots[c.slot].beside[e.slot]++
				v.slots[e.slot].beside[c.slot]++
			}
		}
		step = append(step, c)
	}
}

func pair(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }

// given is the share of visits with a in which b is made too.
func (v *votes) given(a, b int) float64 {
	return float64(v.both[pair(a, b)]) / float64(v.slots[a].seen)
}
