package sinan

import "time"

// kept is how many decisions back misses count.
const kept = 100

// Trust is how far the model has earned to be believed, for people and metrics.
type Trust struct {
	Lost   bool      // nothing is lowered, and the margin is wider
	Since  time.Time // since when it is lost; zero while it is not
	Recent int       // decisions of the last hundred that were held against what then happened
	Missed int       // of those, violations that had been predicted safe
	Right  int       // correct predictions in a row, while it is lost
	Needed int       // so many give it back
	Scored int       // predictions scored since the manager was first built
	Misses int       // of those, misses
	Losses int       // how often trust was lost
	Error  float64   // ms: root of the mean squared error of the predicted percentile in the last hundred; 0 before the first
	Until  time.Time // everything is at its maximum until then, after a miss; zero: it is not
}

// trust is the state behind it.
type trust struct {
	Ring   []mark    // the last hundred decisions that were scored, oldest first
	Since  time.Time // zero: not lost
	Right  int
	Scored int
	Misses int
	Losses int
}

// mark is one scored prediction.
type mark struct {
	Missed  bool    `json:"m,omitempty"`
	Seen    bool    `json:"s,omitempty"` // the percentile was observed for exactly what was predicted
	Squared float64 `json:"e,omitempty"` // then its error, ms²
}

func (t *trust) lost() bool { return !t.Since.IsZero() }

func (t *trust) missed() (n int) {
	for _, m := range t.Ring {
		if m.Missed {
			n++
		}
	}
	return n
}

// score takes in how a prediction came out: safe is what it said of the second that has passed since, violated what
// happened. It reports a miss, and whether trust was lost or came back by it.
func (t *trust) score(now time.Time, safe, violated bool, k mark, misses, earn int) (miss, changed bool) {
	miss = safe && violated
	k.Missed = miss
	t.Scored++
	if len(t.Ring) >= kept {
		t.Ring = append(t.Ring[:0], t.Ring[len(t.Ring)-kept+1:]...)
	}
	t.Ring = append(t.Ring, k)
	switch {
	case miss:
		t.Misses++
		t.Right = 0
		if !t.lost() && t.missed() >= misses {
			t.Since, changed = now, true
			t.Losses++
		}
	case safe != violated && t.lost(): // it said what happened; a false alarm earns nothing and costs nothing
		if t.Right++; t.Right >= earn {
			t.Since, t.Right, t.Ring, changed = time.Time{}, 0, t.Ring[:0], true
		}
	}
	return miss, changed
}
