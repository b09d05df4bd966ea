package sinan

import (
	"math"
	"slices"
	"testing"

	"foresail.dev/model/tail"
	"pgregory.net/rapid"
)

func of(ms, violation float64) (p tail.Prediction) {
	p.Latency[tail.P99], p.Violation = ms, violation
	return p
}

// Each rule by itself: the objective is 500 ms and the margin 30.
func TestTheRules(t *testing.T) {
	list := []candidate{
		{kind: hold, total: 10}, {kind: most, total: 40}, {kind: up, total: 12}, {kind: up, total: 11},
		{kind: down, total: 9}, {kind: down, total: 8}, {kind: down, total: 8},
	}
	good, bad := of(100, 0.01), of(600, 0.9)
	for name, c := range map[string]struct {
		p    []tail.Prediction
		no   string // what is not allowed
		want int
	}{
		"the fewest cores, and of equals the quicker":         {[]tail.Prediction{good, good, good, good, good, of(100, 0), of(90, 0)}, "", 6},
		"one tenth is still lowered to":                       {[]tail.Prediction{good, good, good, good, bad, of(469, 0.1), bad}, "", 5},
		"more than one tenth is not":                          {[]tail.Prediction{good, good, good, good, of(100, 0.05), of(100, 0.11), bad}, "", 4},
		"what has the objective less the margin is not":       {[]tail.Prediction{good, good, good, good, of(100, 0.05), of(470, 0), bad}, "", 4},
		"no lowering, so it is held":                          {[]tail.Prediction{of(469, 0.24), good, good, good, good, good, good}, "lower", 0},
		"what is not below a quarter is not held":             {[]tail.Prediction{of(100, 0.25), good, good, of(100, 0.2), bad, bad, bad}, "", 3},
		"what is slow is not held, and the cheapest is taken": {[]tail.Prediction{of(470, 0), good, good, bad, bad, bad, bad}, "", 2},
		"nothing is held in a violation":                      {[]tail.Prediction{good, good, good, good, good, good, good}, "both", 3},
		"nothing is safe":                                     {[]tail.Prediction{bad, bad, bad, bad, bad, bad, bad}, "", 1},
		"what is not a number is not safe":                    {[]tail.Prediction{of(math.NaN(), 0), bad, of(10, math.NaN()), bad, of(math.NaN(), 0), of(5, math.NaN()), bad}, "", 1},
	} {
		l := limits{latency: 470, percentile: tail.P99, down: 0.1, up: 0.25, lower: c.no == "", hold: c.no != "both"}
		if got := choose(list, c.p, &l, func(*candidate) bool { return true }); got != c.want {
			t.Errorf("%s: candidate %d, want %d", name, got, c.want)
		}
	}
}

// stupid chooses as the rules say, by listing all that may be taken and sorting it.
func stupid(list []candidate, p []tail.Prediction, l limits, may func(*candidate) bool) int {
	pick := func(k kind, passes func(p *tail.Prediction) bool) int {
		var fit []int
		for i := range list {
			if list[i].kind == k && p[i].Latency[l.percentile] < l.latency && passes(&p[i]) {
				fit = append(fit, i)
			}
		}
		slices.SortStableFunc(fit, func(i, j int) int {
			switch {
			case list[i].total != list[j].total:
				return map[bool]int{true: -1, false: 1}[list[i].total < list[j].total]
			case p[i].Latency[l.percentile] != p[j].Latency[l.percentile]:
				return map[bool]int{true: -1, false: 1}[p[i].Latency[l.percentile] < p[j].Latency[l.percentile]]
			}
			return 0
		})
		for _, i := range fit {
			if k != down || may(&list[i]) {
				return i
			}
		}
		return -1
	}
	below := func(p *tail.Prediction) bool { return p.Violation < l.up }
	if i := pick(down, func(p *tail.Prediction) bool { return p.Violation <= l.down }); l.lower && i >= 0 {
		return i
	}
	if i := pick(hold, below); l.hold && i >= 0 {
		return i
	}
	if i := pick(up, below); i >= 0 {
		return i
	}
	return 1
}

func TestChoosingAgainstAnOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := []candidate{{kind: hold, total: 10}, {kind: most, total: 40}}
		for range rapid.IntRange(0, 30).Draw(t, "candidates") {
			k := up
			total := rapid.IntRange(10, 20)
			if rapid.Bool().Draw(t, "down") {
				k, total = down, rapid.IntRange(2, 10)
			}
			list = append(list, candidate{kind: k, total: float64(total.Draw(t, "total"))})
		}
		p := make([]tail.Prediction, len(list))
		outside := map[*candidate]bool{}
		for i := range p {
			p[i] = of(float64(rapid.IntRange(0, 8).Draw(t, "ms")), float64(rapid.IntRange(0, 10).Draw(t, "violation"))/20)
			if rapid.IntRange(0, 20).Draw(t, "no number") == 0 {
				p[i] = of(math.NaN(), 0)
			}
			outside[&list[i]] = rapid.IntRange(0, 3).Draw(t, "outside") == 0
		}
		l := limits{latency: 6, percentile: tail.P99, down: 0.1, up: 0.25, lower: rapid.Bool().Draw(t, "lower"), hold: rapid.Bool().Draw(t, "hold")}
		may := func(c *candidate) bool { return !outside[c] }
		if got, want := choose(list, p, &l, may), stupid(list, p, l, may); got != want {
			t.Fatalf("candidate %d %+v %+v, want %d %+v %+v", got, list[got], p[got], want, list[want], p[want])
		}
	})
}
