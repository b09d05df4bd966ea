package dist

import (
	"math/big"
	"slices"
)

// precision is the bits of the oracle's arithmetic: rates that differ by 1e-13 of themselves cost 43 bits for each difference.
const precision = 800

func num(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }

// bigExp is e^x by halving the argument, the series, and squaring.
func bigExp(x *big.Float) *big.Float {
	const halvings = 60
	y := num(0).SetMantExp(x, -halvings)
	sum, term := num(1), num(1)
	for k := 1; k < 60; k++ {
		term.Mul(term, y)
		term.Quo(term, num(float64(k)))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

// oracleCDF is P(T <= t) of a sum of exponentials: (-1)ⁿ Πλ [0, λ1, …, λn] e^(-xt), a divided difference by the table of
// textbooks, in which equal rates give derivatives; there is nothing stable about it but the number of bits.
func oracleCDF(rates []float64, t float64) *big.Float {
	x := append([]float64{0}, rates...)
	slices.Sort(x)
	n := len(x)
	f := make([]*big.Float, n)
	e := make([]*big.Float, n)
	for i := range x {
		if i > 0 && x[i] == x[i-1] {
			e[i] = e[i-1]
		} else {
			e[i] = bigExp(num(0).Mul(num(-x[i]), num(t)))
		}
		f[i] = num(0).Set(e[i])
	}
	derivative := num(1) // of e^(-xt), order times, over order!, divided by itself
	for order := 1; order < n; order++ {
		derivative.Mul(derivative, num(-t))
		derivative.Quo(derivative, num(float64(order)))
		for i := range n - order {
			if x[i] == x[i+order] {
				f[i] = num(0).Mul(e[i], derivative)
				continue
			}
			d := num(0).Sub(f[i+1], f[i])
			f[i] = d.Quo(d, num(0).Sub(num(x[i+order]), num(x[i])))
		}
	}
	out := f[0]
	for _, r := range rates {
		out.Mul(out, num(-r))
	}
	return out
}
