package solve

import "math"

// exchange betters the best by small changes that are each held against the truth: one container less, or one more of one
// service for several less of others. It ends when nothing is left to try, or the budget is spent.
func (r *rounding) exchange() {
	copy(r.n, r.best)
	r.measure()
	for r.asked < r.budget {
		if !r.less() && !r.swap() {
			return
		}
		r.keep()
		if r.asked < r.budget {
			r.measure()
		}
	}
}

// try moves to other numbers of some services if that holds every limit they touch.
func (r *rounding) try(ms []int, to []int) bool {
	r.stamp++
	r.touched = r.touched[:0]
	for i, m := range ms {
		r.at[m] = float64(to[i])
		for _, p := range r.of[m] {
			if r.mark[p.end] != r.stamp {
				r.mark[p.end] = r.stamp
				r.touched = append(r.touched, p.end)
			}
		}
	}
	ok := true
	for _, i := range r.touched {
		e := &r.ends[i]
		if e.trial = r.ask(e.end, r.at, nil); e.trial > e.allowed {
			ok = false
			break
		}
	}
	if !ok {
		for _, m := range ms {
			r.at[m] = float64(r.n[m])
		}
		return false
	}
	for i, m := range ms {
		r.move(m, to[i])
	}
	for _, i := range r.touched {
		r.ends[i].now = r.ends[i].trial
	}
	return true
}

// near is how far over its limit, as a share of it, what the separable problem says may be for the truth to be asked for.
const near = 0.03

// plausible reports whether the separable problem finds the touched limits held, or nearly.
func (r *rounding) plausible(ms, to []int) bool {
	for i, m := range ms {
		for _, p := range r.of[m] {
			e := &r.ends[p.end]
			left := e.slack - r.change(p, r.n[m], to[i])
			for k, other := range ms {
				if k == i {
					continue
				}
				for _, q := range r.of[other] {
					if q.end == p.end {
						left -= r.change(q, r.n[other], to[k])
					}
				}
			}
			if left < -near*e.limit {
				return false
			}
		}
	}
	return true
}

// less takes one container away where that holds; it tries the dearest first.
func (r *rounding) less() bool {
	done := math.Inf(1)
	for {
		next := 0.0 // costs in descending order, without sorting: there are few
		for m := range r.n {
			if c := r.p.Services[m].Cost; c < done && c > next {
				next = c
			}
		}
		if next == 0 {
			return false
		}
		for m := range r.n {
			if r.p.Services[m].Cost != next || r.n[m] <= r.low[m] || r.asked >= r.budget {
				continue
			}
			ms, to := [1]int{m}, [1]int{r.n[m] - 1}
			if r.plausible(ms[:], to[:]) && r.try(ms[:], to[:]) {
				return true
			}
		}
		done = next
	}
}

// swap adds one or two containers of a service and takes others away, at less cost in all.
func (r *rounding) swap() bool {
	var near []int
	seen := make([]bool, len(r.n))
	for i := range r.n {
		for more := 1; more <= 2 && r.n[i]+more <= r.high[i]; more++ {
			near = near[:0]
			for _, p := range r.of[i] { // whose slack it adds to
				for _, m := range r.ends[p.end].Services {
					if m != i && !seen[m] && r.n[m] > r.low[m] {
						seen[m] = true
						near = append(near, m)
					}
				}
			}
			for _, m := range near {
				seen[m] = false
			}
			if r.swapFor(i, more, near) {
				return true
			}
			if r.asked >= r.budget {
				return false
			}
		}
	}
	return false
}

// swapFor tries to pay for more containers of service i with one, two or three of others.
func (r *rounding) swapFor(i, more int, others []int) bool {
	pay := func(ms, to []int) bool {
		if r.asked >= r.budget {
			return false
		}
		saved := -float64(more) * r.p.Services[i].Cost
		for k, m := range ms[1:] {
			saved += float64(r.n[m]-to[k+1]) * r.p.Services[m].Cost
		}
		return saved > 1e-9*r.p.Services[i].Cost && r.plausible(ms, to) && r.try(ms, to)
	}
	var ms, to [3]int
	ms[0], to[0] = i, r.n[i]+more
	for a, j := range others {
		ms[1] = j
		for down := 1; down <= more+1 && r.n[j]-down >= r.low[j]; down++ {
			to[1] = r.n[j] - down
			if pay(ms[:2], to[:2]) {
				return true
			}
			for _, l := range others[a+1:] {
				ms[2] = l
				for deep := 1; deep <= more+1-down+1 && r.n[l]-deep >= r.low[l]; deep++ {
					to[2] = r.n[l] - deep
					if pay(ms[:], to[:]) {
						return true
					}
				}
			}
		}
	}
	return false
}
