package neural

import (
	"math"

	"foresail.dev/ml/nn"
)

// posterior is a normal distribution over the weights of a network (Blundell et al., ICML 2015): each has a mean and a
// deviation softplus(rho). The prior is normal with mean 0 and deviation prior.
type posterior struct {
	weights []*nn.Param[float32] // of the network: what was drawn last, and its gradient
	mean    []*nn.Param[float32]
	rho     []*nn.Param[float32]
	eps     [][]float32 // that the last draw was made with
}

const (
	prior    = 0.5
	firstRho = -5 // deviations begin at 0.0067, well below the weights
)

func newPosterior(weights []*nn.Param[float32]) *posterior {
	q := &posterior{weights: weights}
	for _, p := range weights {
		mean, rho := nn.NewParam[float32](p.Name+".mean", len(p.W)), nn.NewParam[float32](p.Name+".rho", len(p.W))
		copy(mean.W, p.W)
		for i := range rho.W {
			rho.W[i] = firstRho
		}
		q.mean, q.rho, q.eps = append(q.mean, mean), append(q.rho, rho), append(q.eps, make([]float32, len(p.W)))
	}
	return q
}

// params are what is learnt instead of the weights.
func (q *posterior) params() []*nn.Param[float32] {
	return append(append([]*nn.Param[float32]{}, q.mean...), q.rho...)
}

// draw sets the weights to a sample: mean + softplus(rho)·ε.
func (q *posterior) draw(r *nn.Rand) {
	for i, p := range q.weights {
		mean, rho, eps := q.mean[i].W, q.rho[i].W, q.eps[i]
		for j := range p.W {
			eps[j] = float32(r.NormFloat64())
			p.W[j] = mean[j] + softplus(rho[j])*eps[j]
		}
	}
}

// collect turns the gradients of the weights into those of mean and rho, and adds those of the divergence of the posterior
// from the prior, spread over all examples there are. It clears the weights' own.
func (q *posterior) collect(examples int) {
	share := 1 / float32(examples)
	for i, p := range q.weights {
		mean, rho, eps := q.mean[i], q.rho[i], q.eps[i]
		for j, g := range p.G {
			sd := softplus(rho.W[j])
			mean.G[j] += g + share*mean.W[j]/(prior*prior)
			rho.G[j] += (g*eps[j] + share*(sd/(prior*prior)-1/sd)) * sigmoid(rho.W[j])
		}
		clear(p.G)
	}
}

// noise is the one deviation, for all times, of what a Bayesian network predicts: softplus of a learnt number.
type noise struct{ p *nn.Param[float32] }

func newNoise() noise { return noise{nn.NewParam[float32]("noise", 1)} }

func (n noise) sigma() float64 { return float64(softplus(n.p.W[0])) + leastSigma }

// loss is the negative log likelihood of targets, per number, with its gradients in dmu and in the noise.
func (n noise) loss(mu, target, dmu []float32) float64 {
	sigma := n.sigma()
	var sum, squares float64
	count := float64(len(mu))
	for i := range mu {
		d := float64(mu[i] - target[i])
		squares += d * d
		dmu[i] = float32(d / (sigma * sigma) / count)
	}
	squares /= count
	sum = squares/(2*sigma*sigma) + math.Log(sigma) + math.Log(2*math.Pi)/2
	n.p.G[0] += float32((1-squares/(sigma*sigma))/sigma) * sigmoid(n.p.W[0])
	return sum
}
