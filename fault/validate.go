package fault

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Limits of a schedule, so that a mistyped one is refused rather than simulated.
const (
	MaxFixed  = 1000                   // fixed faults, and entries of a random schedule
	MaxDrawn  = 100_000                // random faults that an entry may bring on average
	LeastMean = 100 * time.Millisecond // between random faults of one entry
	maxTime   = 100 * 365 * 24 * time.Hour
)

// Problem is one thing wrong in a schedule.
type Problem struct {
	Random  bool   // of Schedule.Random rather than Fixed
	Index   int    // there
	Field   string // as files call it: "amount", "service"; empty: the whole
	Message string // "is 3, must be at most 1"
}

// Error reads like "fixed[2].amount: is 3, must be at most 1".
func (p Problem) Error() string {
	list := "fixed"
	if p.Random {
		list = "random"
	}
	if p.Field == "" {
		return fmt.Sprintf("%s[%d]: %s", list, p.Index, p.Message)
	}
	return fmt.Sprintf("%s[%d].%s: %s", list, p.Index, p.Field, p.Message)
}

// Problems is everything wrong in a schedule.
type Problems []Problem

// Error lists all, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is nil where there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// checker collects the problems of one entry.
type checker struct {
	out    *Problems
	random bool
	index  int
}

func (c checker) fault(bad bool, field, format string, args ...any) bool {
	if bad {
		*c.out = append(*c.out, Problem{c.random, c.index, field, fmt.Sprintf(format, args...)})
	}
	return bad
}

// Check reports what is wrong whatever the application: numbers that make no sense, targets that a kind has not, faults
// that contradict each other.
func (s *Schedule) Check() Problems {
	var out Problems
	if len(s.Fixed) > MaxFixed || len(s.Random) > MaxFixed {
		checker{out: &out, random: len(s.Fixed) <= MaxFixed}.fault(true, "", "begins a list of more than %d: split the run", MaxFixed)
		return out
	}
	for i := range s.Fixed {
		c := checker{&out, false, i}
		f := &s.Fixed[i]
		if !c.fault(f.Kind >= kindEnd, "kind", "%s is not known", f.Kind) {
			c.numbers(f)
			c.target(f.Kind, f.Target, true)
		}
	}
	for i := range s.Random {
		checker{&out, true, i}.entry(&s.Random[i])
	}
	s.contradictions(&out)
	return out
}

// entry checks one of a random schedule.
func (c checker) entry(r *Random) {
	if c.fault(r.Kind >= kindEnd, "kind", "%s is not known", r.Kind) {
		return
	}
	c.fault(r.Every < LeastMean || r.Every > maxTime, "every", "is %v, must be at least %v", r.Every, LeastMean)
	c.fault(r.From < 0 || r.From > maxTime, "from", "is %v, must not be negative", r.From)
	c.fault(r.Until < 0 || r.Until > maxTime || r.Until > 0 && r.Until <= r.From, "until", "is %v, must be after from, %v", r.Until, r.From)
	c.fault(r.For.Min <= 0, "for", "is %v..%v, must be above 0: random faults have an end", r.For.Min, r.For.Max)
	ordered(c, "for", r.For)
	ordered(c, "amount", r.Amount)
	ordered(c, "length", r.Length)
	ordered(c, "period", r.Period)
	ordered(c, "jitter", r.Jitter)
	ordered(c, "errors", r.Errors)
	ordered(c, "leak", r.Leak)
	least, most := r.ends()
	if before := len(*c.out); r.For.Min > 0 {
		if c.numbers(&least); len(*c.out) == before { // the same twice helps nobody
			most.At = 0
			c.numbers(&most)
		}
	}
	if r.Kind == GCPause {
		c.fault(r.Length.Max >= r.Period.Min, "period", "can be %v, but a pause can last %v: the next must begin after it", r.Period.Min, r.Length.Max)
	}
	for k, t := range r.Targets {
		c.target(r.Kind, t, false, fmt.Sprintf("targets[%d].", k))
	}
}

func ordered[T float64 | time.Duration](c checker, field string, r Range[T]) {
	c.fault(r.Max < r.Min, field, "is %v..%v, but the least must not exceed the most", r.Min, r.Max)
}

// numbers checks the numbers of a fault against its kind.
func (c checker) numbers(f *Fault) {
	c.fault(f.At < 0 || f.At > maxTime, "at", "is %v, must not be negative", f.At)
	c.fault(f.For < 0 || f.For > maxTime, "for", "is %v, must not be negative", f.For)
	s := &specs[f.Kind]
	c.number(f.Kind, "amount", f.Amount, s.amount, "")
	c.number(f.Kind, "length", f.Length.Seconds(), s.length, " s")
	c.number(f.Kind, "period", f.Period.Seconds(), s.period, " s")
	c.number(f.Kind, "jitter", f.Jitter, s.jitter, "")
	c.number(f.Kind, "errors", f.Errors, s.errors, "")
	c.number(f.Kind, "leak", f.Leak, s.leak, "")
	switch f.Kind {
	case GCPause:
		c.fault(f.Length > 0 && f.Period > 0 && f.Length >= f.Period, "period",
			"is %v, but a pause lasts %v: the next must begin after it", f.Period, f.Length)
	case BadRelease:
		c.fault((f.Amount == 0 || f.Amount == 1) && f.Errors == 0 && f.Leak == 0, "",
			"a bad release needs amount (a factor of the CPU demand), errors or leak: else nothing is bad about it")
	}
}

func (c checker) number(k Kind, field string, v float64, n number, unit string) {
	switch {
	case !n.used:
		c.fault(v != 0, field, "means nothing for %s: take it out", k)
	case v == 0 && n.optional:
	case v == 0:
		c.fault(true, field, "is missing or 0; %s needs it", k)
	case !(v > n.above && v <= n.most):
		c.fault(true, field, "is %g%s, must be above %g and at most %g", v, unit, n.above, n.most)
	case n.whole:
		c.fault(v != math.Trunc(v), field, "is %g, must be a whole number", v)
	}
}

// target checks that a kind can be aimed at a target. A prefix comes before the names of fields.
func (c checker) target(k Kind, t Target, needed bool, prefix ...string) {
	before := strings.Join(prefix, "")
	allowed := specs[k].targets
	given := 0
	for _, part := range []struct {
		there bool
		field string
		scope scope
	}{
		{t.Service != "", "service", atService}, {t.Replica != "", "replica", atService},
		{t.edge(), "edge", atEdge}, {t.Node != "", "node", atNode},
	} {
		if part.there {
			given++
			c.fault(allowed&part.scope == 0, before+part.field, "can't be hit by %s, %s", k, wants(k))
		}
	}
	c.fault(given > 1, strings.TrimSuffix(before, "."), "names more than one of service, replica, edge and node: make one fault of each")
	c.fault(given == 0 && needed && allowed != 0, "", "hits nothing: %s, %s", k, wants(k))
	c.fault(given == 0 && !needed, strings.TrimSuffix(before, "."), "names nothing")
	c.fault(t.edge() && (t.From == "" || t.To == ""), before+"edge", "is %q, must be two services, like a -> b", t.String())
	c.fault(t.Replica != "" && t.ServiceName() == "", before+"replica", "%q is no replica's name, like geo-0", t.Replica)
	c.fault(t.Operation != "" && allowed&atOperation == 0, before+"operation", "means nothing for %s: take it out", k)
	c.fault(t.Operation != "" && t.ServiceName() == "" && allowed&atOperation != 0, before+"operation", "is %q, of no service", t.Operation)
	c.fault(!(t.Share >= 0 && t.Share <= 1), before+"share", "is %g, must lie within 0..1", t.Share)
	c.fault(t.Share != 0 && t.Service == "", before+"share", "is of a service's replicas: name a service")
}

// wants says what a kind may be aimed at.
func wants(k Kind) string {
	var out []string
	for _, s := range []struct {
		scope scope
		text  string
	}{{atService, "a service or replica"}, {atEdge, "an edge"}, {atNode, "a node"}} {
		if specs[k].targets&s.scope != 0 {
			out = append(out, s.text)
		}
	}
	if len(out) == 0 {
		return "which hits the whole application: take it out"
	}
	return "which hits " + strings.Join(out, " or ")
}

// contradictions finds fixed faults that can't both be.
func (s *Schedule) contradictions(out *Problems) {
	for i := range s.Fixed {
		f := &s.Fixed[i]
		c := checker{out, false, i}
		for k := range s.Fixed {
			g := &s.Fixed[k]
			if k == i || !f.together(g) {
				continue
			}
			switch {
			case g.Kind == f.Kind && k < i && f.Target.meets(g.Target):
				c.fault(true, "at", "is %v, when fixed[%d] goes on (%s): end one before the other begins", f.At, k, g)
			case g.Kind == NodeLost && f.Kind != NodeLost && f.Node != "" && f.Node == g.Node:
				c.fault(true, "node", "is %q, which is lost then by fixed[%d] (%s)", f.Node, k, g)
			}
		}
	}
}
