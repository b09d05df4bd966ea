package latency

import (
	"math"
	"math/rand/v2"

	"foresail.dev/model/latency/learner"
)

// predict is what is expected of a vertex at a row; the mean of instances is as sure as they are.
func (v *vertex) predict(row []float64) learner.Prediction {
	if v.p != nil {
		return v.p.Predict(row)
	}
	return learner.Prediction{Value: v.value(row)}
}

// Sample predicts the target with its uncertainty by Monte Carlo: so many times, every vertex is drawn from what is
// expected of it at the inputs that were drawn for it. The prediction has the mean and the standard deviation of the
// logarithms of what was drawn of the target.
func (f *Inference) Sample(inputs []float64, samples int, r *rand.Rand) learner.Prediction {
	f.begin(inputs)
	first := len(f.inputs) + len(f.means)
	mean, sum := 0.0, 0.0
	for n := range samples {
		for i := range f.vertices {
			p := f.vertices[i].predict(f.gather(i))
			f.values[first+i] = p.Quantile(r.NormFloat64())
		}
		x := math.Log(f.values[f.target])
		d := x - mean
		mean += d / float64(n+1)
		sum += d * (x - mean)
	}
	return learner.Prediction{Value: math.Exp(mean), Spread: math.Sqrt(sum / float64(max(samples, 1)))}
}

// Moments predicts the target with its uncertainty by moment matching: the logarithms of all vertices are taken for jointly
// normal. The moments of a vertex are found with a spherical cubature of third degree over those that it hangs on
// (Arasaratnam and Haykin, "Cubature Kalman filters", 2009, eq 31–33), and so is how it varies with all others, so that a
// service that is called from two sides is not taken for two. It takes two predictions for each input that is itself
// predicted, no chance, and allocates.
func (f *Inference) Moments(inputs []float64) learner.Prediction {
	f.begin(inputs)
	first, n := len(f.inputs)+len(f.means), len(f.vertices)
	mu := make([]float64, n)
	cov := make([][]float64, n)
	for i := range f.vertices {
		cov[i] = make([]float64, n)
		from := f.uncertain(i, first)
		if len(from) == 0 {
			p := f.vertices[i].predict(f.gather(i))
			mu[i], cov[i][i] = math.Log(p.Value), p.Spread*p.Spread
		} else {
			f.match(i, first, from, mu, cov)
		}
		f.values[first+i] = math.Exp(mu[i])
	}
	t := f.target - first
	return learner.Prediction{Value: math.Exp(mu[t]), Spread: math.Sqrt(max(cov[t][t], 0))}
}

// uncertain are the numbers of the vertices that vertex i hangs on, each once.
func (f *Inference) uncertain(i, first int) (out []int) {
	seen := map[int]bool{}
	for _, at := range f.vertices[i].from {
		if at >= first && !seen[at] {
			seen[at] = true
			out = append(out, at-first)
		}
	}
	return out
}

// match finds the moments of vertex i from those of the vertices that it hangs on.
func (f *Inference) match(i, first int, from []int, mu []float64, cov [][]float64) {
	k := len(from)
	l := lower(from, cov)
	far := math.Sqrt(float64(k))
	at := func(j int, sign float64) learner.Prediction {
		for a, v := range from {
			f.values[first+v] = math.Exp(mu[v] + sign*far*l[a][j])
		}
		return f.vertices[i].predict(f.gather(i))
	}
	logs, own := make([]float64, 2*k), 0.0
	for j := range k {
		for s, sign := range []float64{1, -1} {
			p := at(j, sign)
			logs[2*j+s] = math.Log(p.Value)
			own += p.Spread * p.Spread / float64(2*k)
		}
	}
	for _, v := range from {
		f.values[first+v] = math.Exp(mu[v])
	}
	for _, x := range logs {
		mu[i] += x / float64(2*k)
	}
	cov[i][i] = own
	for _, x := range logs {
		cov[i][i] += (x - mu[i]) * (x - mu[i]) / float64(2*k)
	}
	// The gain solves L'·gain = b: what the vertex moves by, for each of those that it hangs on.
	gain := make([]float64, k)
	for j := k - 1; j >= 0; j-- {
		b := far * (logs[2*j] - logs[2*j+1]) / float64(2*k)
		for a := j + 1; a < k; a++ {
			b -= l[a][j] * gain[a]
		}
		if l[j][j] > 0 {
			gain[j] = b / l[j][j]
		}
	}
	for u := range i {
		sum := 0.0
		for a, v := range from {
			sum += gain[a] * cov[v][u]
		}
		cov[i][u], cov[u][i] = sum, sum
	}
}

// lower is the Cholesky factor of a part of a covariance; what is certain has zeros.
func lower(from []int, cov [][]float64) [][]float64 {
	l := make([][]float64, len(from))
	for a := range from {
		l[a] = make([]float64, len(from))
		for b := range a + 1 {
			sum := cov[from[a]][from[b]]
			for c := range b {
				sum -= l[a][c] * l[b][c]
			}
			switch {
			case a == b:
				if sum > 1e-12*cov[from[a]][from[a]] {
					l[a][a] = math.Sqrt(sum)
				}
			case l[b][b] > 0:
				l[a][b] = sum / l[b][b]
			}
		}
	}
	return l
}
