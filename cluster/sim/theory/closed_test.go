package theory_test

import "math"

// Closed forms. Times are in the unit of the service time given.

// birthDeath is the stationary distribution of a birth-death process on 0..n.
func birthDeath(n int, birth, death func(k int) float64) []float64 {
	p := make([]float64, n+1)
	p[0] = 1
	sum := 1.0
	for k := 1; k <= n; k++ {
		p[k] = p[k-1] * birth(k-1) / death(k)
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
	return p
}

// erlangC is the probability that a request waits in M/M/c, offered a = λ/μ < c (Erlang's second formula), by way of the
// recursion of his first, which neither overflows nor cancels.
func erlangC(c int, a float64) float64 {
	b := 1.0 // blocking with no server
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	rho := a / float64(c)
	return b / (1 - rho*(1-b))
}

// erlangTail is the share of M/M/c's requests whose time exceeds t service times.
func erlangTail(c int, a, t float64) float64 {
	wait, drain := erlangC(c, a), float64(c)-a // that who waits, waits an exponential time of this rate
	if math.Abs(drain-1) < 1e-9 {
		return math.Exp(-t) * (1 + wait*t)
	}
	return (1-wait)*math.Exp(-t) + wait*(drain*math.Exp(-t)-math.Exp(-drain*t))/(drain-1)
}

// mva is the exact mean-value analysis (Reiser and Lavenberg 1980) of a closed network of n users who think for a mean time,
// with stations of one server: the throughput and the time of a round without thinking.
func mva(n int, think float64, demands ...float64) (throughput, time float64) {
	number := make([]float64, len(demands)) // of users at each station
	for k := 1; k <= n; k++ {
		time = 0
		at := make([]float64, len(demands))
		for i, d := range demands {
			at[i] = d * (1 + number[i]) // who arrives sees the network with one user less
			time += at[i]
		}
		throughput = float64(k) / (think + time)
		for i := range at {
			number[i] = throughput * at[i]
		}
	}
	return throughput, time
}

// harmonic is 1 + 1/2 + … + 1/n.
func harmonic(n int) (h float64) {
	for k := n; k > 0; k-- {
		h += 1 / float64(k)
	}
	return h
}

// nelsonTantawi approximates the mean time of n M/M/1 in parallel that a request joins again (Nelson and Tantawi 1988,
// eq. 20), in service times; for n = 2 it is exact (Flatto and Hahn 1984). They give less than 5 % of error up to 32.
func nelsonTantawi(n int, rho float64) float64 {
	h := harmonic(n) / harmonic(2)
	return (h + 4*rho/11*(1-h)) * (12 - rho) / 8 / (1 - rho)
}
