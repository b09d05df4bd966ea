package stream

import (
	"container/heap"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Config bounds a Joiner. Zero fields mean what is said.
type Config struct {
	Open    int // rows that wait for values at once; when there are more, the oldest is closed. 0: 1,024
	Rows    int // closed rows that are kept; the oldest go. 0: 100,000
	Streams int // streams; others are refused. 0: 20,000
	Cells   int // values of closed rows, and as many of those that wait, that there is room for; rows go, or close, before. 0: 10 million
	Stop    int // rows without a value after which a stream has stopped. 0: 60
	// Choices are those that a stream may take; where it is not named, those that occur, up to 32.
	Choices map[string][]string
}

// maxChoices bounds what is learnt of a stream that Config.Choices does not name.
const maxChoices = 32

func (c Config) withDefaults() Config {
	for _, f := range []struct {
		v *int
		d int
	}{{&c.Open, 1024}, {&c.Rows, 100_000}, {&c.Streams, 20_000}, {&c.Cells, 10_000_000}, {&c.Stop, 60}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return c
}

// What Add refuses a value for.
var (
	ErrLate      = errors.New("its row is closed already")
	ErrDuplicate = errors.New("its row has a value of this stream already")
	ErrKind      = errors.New("the stream was of another type")
	ErrChoice    = errors.New("the stream has no such choice")
	ErrStreams   = errors.New("there are too many streams")
)

// Counts are what became of values.
type Counts struct {
	Taken      int `json:"taken"`
	Disorderly int `json:"out_of_order,omitempty"` // taken, after one of the same stream with a higher number
	Late       int `json:"late,omitempty"`
	Duplicate  int `json:"duplicate,omitempty"`
	Differing  int `json:"differing,omitempty"` // of the duplicates, those with another value: the first stays
	Kind       int `json:"type_changed,omitempty"`
	Choice     int `json:"unknown_choice,omitempty"`
}

type column struct {
	kind    Kind
	choices []string
	counts  Counts
	newest  int64
	row     int // how many rows had been opened at its newest value
	missing int // closed rows since the first without it
}

type row struct {
	seq    int64
	values []float64 // by column, as far as there were any; NaN: none
}

// Joiner joins streams by their numbers. It must not be used by several goroutines at once.
type Joiner struct {
	cfg     Config
	at      map[string]int
	labels  []string
	columns []column
	open    map[int64]*row
	order   numbers // of what is open, the least first
	closed  []row   // in order
	cells   [2]int  // in what is open, and closed
	opened  int
	passed  int64 // rows up to this number are closed
	any     bool  // passed holds
	gone    int   // closed rows that there was no room for
	refused int   // values of streams that there was no room for
}

// New is a joiner without values.
func New(cfg Config) *Joiner {
	return &Joiner{cfg: cfg.withDefaults(), at: map[string]int{}, open: map[int64]*row{}}
}

// Add takes a value, or says why not: it is ErrMalformed, ErrLate, ErrDuplicate, ErrKind, ErrChoice or ErrStreams, wrapped. What
// is refused is counted, and changes nothing else.
func (j *Joiner) Add(v Value) error {
	if err := v.check(); err != nil {
		return err
	}
	i, ok := j.at[v.Label]
	if !ok {
		if len(j.columns) >= j.cfg.Streams {
			j.refused++
			return fmt.Errorf("%w: more than %d, the first that is left out is %s", ErrStreams, j.cfg.Streams, v.Label)
		}
		i = len(j.columns)
		j.at[v.Label] = i
		j.labels = append(j.labels, v.Label)
		j.columns = append(j.columns, column{kind: v.Kind, choices: j.cfg.Choices[v.Label], newest: math.MinInt64, row: j.opened})
	}
	c := &j.columns[i]
	if c.kind != v.Kind {
		c.counts.Kind++
		return fmt.Errorf("%w: %s is %s, and was %s", ErrKind, v.Label, v.Kind, c.kind)
	}
	if j.any && v.Seq <= j.passed {
		c.counts.Late++
		return fmt.Errorf("%w: row %d of %s, those up to %d are closed", ErrLate, v.Seq, v.Label, j.passed)
	}
	n, err := c.number(&v, j.cfg.Choices[v.Label] != nil)
	if err != nil {
		return err
	}
	r := j.open[v.Seq]
	if r != nil && i < len(r.values) && !math.IsNaN(r.values[i]) {
		c.counts.Duplicate++
		if r.values[i] != n {
			c.counts.Differing++
		}
		return fmt.Errorf("%w: row %d of %s", ErrDuplicate, v.Seq, v.Label)
	}
	if r == nil {
		r = &row{seq: v.Seq}
		j.open[v.Seq] = r
		heap.Push(&j.order, v.Seq)
		j.opened++
	}
	for len(r.values) <= i {
		r.values = append(r.values, math.NaN())
		j.cells[0]++
	}
	r.values[i] = n
	c.counts.Taken++
	if v.Seq < c.newest {
		c.counts.Disorderly++
	}
	c.newest, c.row = max(c.newest, v.Seq), j.opened
	for len(j.order) > j.cfg.Open || j.cells[0] > j.cfg.Cells && len(j.order) > 1 {
		j.close()
	}
	return nil
}

// number is what a table holds of a value: of a choice, which it is.
func (c *column) number(v *Value, fixed bool) (float64, error) {
	if v.Kind != Choices {
		return v.Number, nil
	}
	k := slices.Index(c.choices, v.Choice)
	if k < 0 && (fixed || len(c.choices) >= maxChoices) {
		c.counts.Choice++
		return 0, fmt.Errorf("%w: %.40q of %s", ErrChoice, v.Choice, v.Label)
	}
	if k < 0 {
		k = len(c.choices)
		c.choices = append(c.choices[:k:k], v.Choice)
	}
	return float64(k), nil
}

// close closes the oldest row that is open.
func (j *Joiner) close() {
	seq := heap.Pop(&j.order).(int64)
	r := j.open[seq]
	delete(j.open, seq)
	j.cells[0] -= len(r.values)
	j.passed, j.any = seq, true
	for i := range j.columns {
		if i >= len(r.values) || math.IsNaN(r.values[i]) {
			j.columns[i].missing++
		}
	}
	j.closed = append(j.closed, *r)
	j.cells[1] += len(r.values)
	for len(j.closed) > j.cfg.Rows || j.cells[1] > j.cfg.Cells {
		j.cells[1] -= len(j.closed[0].values)
		j.closed[0] = row{}
		j.closed = j.closed[1:]
		j.gone++
	}
}

// Flush closes all rows: nothing more is to come.
func (j *Joiner) Flush() {
	for len(j.order) > 0 {
		j.close()
	}
}

// numbers is a heap of sequence numbers.
type numbers []int64

func (n numbers) Len() int           { return len(n) }
func (n numbers) Less(a, b int) bool { return n[a] < n[b] }
func (n numbers) Swap(a, b int)      { n[a], n[b] = n[b], n[a] }
func (n *numbers) Push(v any)        { *n = append(*n, v.(int64)) }
func (n *numbers) Pop() any {
	last := len(*n) - 1
	v := (*n)[last]
	*n = (*n)[:last]
	return v
}
