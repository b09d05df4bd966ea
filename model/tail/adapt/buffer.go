package adapt

import (
	"fmt"
	"time"

	"foresail.dev/model/tail"
)

// Buffer holds the newest seconds.
type Buffer struct {
	limit int // seconds
	runs  []tail.Run
	n     int
}

// NewBuffer holds so much time at most.
func NewBuffer(keep time.Duration) *Buffer { return &Buffer{limit: max(int(keep/tail.Interval), 1)} }

// Add appends a second, which must not be changed afterwards. One that does not follow the last begins a run of its own; one
// that is earlier (a clock that was set back) throws away what there is, since nothing tells how the two belong together.
func (b *Buffer) Add(s tail.Step) {
	if k := len(b.runs); k > 0 {
		last := b.runs[k-1].Steps[len(b.runs[k-1].Steps)-1].End
		switch {
		case s.End.Equal(last.Add(tail.Interval)):
			b.runs[k-1].Steps = append(b.runs[k-1].Steps, s)
			b.n++
			b.trim()
			return
		case !s.End.After(last):
			b.runs, b.n = nil, 0
		}
	}
	b.runs = append(b.runs, tail.Run{Name: fmt.Sprintf("from %s", s.End.UTC().Format(time.DateTime)), Steps: []tail.Step{s}})
	b.n++
	b.trim()
}

func (b *Buffer) trim() {
	for b.n > b.limit {
		first := &b.runs[0]
		first.Steps[0] = tail.Step{} // what append has left behind need not be kept alive
		first.Steps = first.Steps[1:]
		b.n--
		if len(first.Steps) == 0 {
			b.runs = b.runs[1:]
		}
	}
}

// Seconds is how many there are.
func (b *Buffer) Seconds() int { return b.n }

// Since are the seconds that end after a time, as runs; they share memory with the buffer, which does not change them.
func (b *Buffer) Since(t time.Time) []tail.Run {
	var out []tail.Run
	for _, r := range b.runs {
		i := 0
		for i < len(r.Steps) && !r.Steps[i].End.After(t) {
			i++
		}
		if i < len(r.Steps) {
			out = append(out, tail.Run{Name: r.Name, Steps: append([]tail.Step(nil), r.Steps[i:]...)})
		}
	}
	return out
}

// Count is how many seconds runs have.
func Count(runs []tail.Run) int {
	n := 0
	for _, r := range runs {
		n += len(r.Steps)
	}
	return n
}

// Split keeps the newest seconds of runs, oldest run first, for judging, and gives the others to learn from. Between the two
// as many seconds are left out as one sample reaches over, so that none is in both.
func Split(runs []tail.Run, held int) (learn, judge []tail.Run) {
	const between = tail.Past + tail.Horizon
	left := held
	for i := len(runs) - 1; i >= 0; i-- {
		n := len(runs[i].Steps)
		if left >= n {
			judge = append([]tail.Run{runs[i]}, judge...)
			left -= n
			continue
		}
		if left > 0 {
			judge = append([]tail.Run{{Name: runs[i].Name, Steps: runs[i].Steps[n-left:]}}, judge...)
		}
		cut := n
		if left > 0 {
			cut -= left + between
		}
		if cut > 0 {
			learn = append([]tail.Run{{Name: runs[i].Name, Steps: runs[i].Steps[:cut]}}, learn...)
		}
		left = 0
	}
	return learn, judge
}
