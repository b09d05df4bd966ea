package callgraph

// Weighted is a graph and the share of requests that take it.
type Weighted struct {
	Graph *Graph
	Share float64
}

// Mixture is the end-to-end latency of an endpoint's requests: of each graph by its share. It is not safe for concurrent
// use. Graphs stay the caller's: SetStage and SetRate on them change the mixture.
type Mixture struct {
	parts []Weighted
}

// NewMixture makes a mixture. Shares that don't add to one within 1e-6 are refused: see Normalise. So are negative ones, and a
// mixture without graphs.
func NewMixture(parts ...Weighted) (*Mixture, error) { panic("coming") }

// Normalise divides shares by their sum, in place, and gives the sum. It fails where one is negative or the sum is 0.
func Normalise(parts []Weighted) (sum float64, err error) { panic("coming") }

// SetShares changes the shares, by the order of NewMixture's parts. They add to one within 1e-6.
func (m *Mixture) SetShares(shares []float64) error { panic("coming") }

// Mean is the mean latency, in seconds.
func (m *Mixture) Mean() float64 { panic("coming") }

// CDF is the probability that a request takes at most t seconds.
func (m *Mixture) CDF(t float64) float64 { panic("coming") }

// Above is the probability that a request takes longer than t seconds.
func (m *Mixture) Above(t float64) float64 { panic("coming") }

// Percentile is the latency in seconds that a share p of requests does not exceed, 0 < p < 1; NaN otherwise.
func (m *Mixture) Percentile(p float64) float64 { panic("coming") }

// Gradient is how Above(t) changes with the stages. Where a visit isn't waited for, numbers are 0.
type Gradient struct {
	Above   float64     // the probability of more than t seconds
	Density float64     // of latency at t, 1/s
	LogRate [][]float64 // [part][visit] d Above / d ln rate: of an exponential's Rate, or of the rates of all Parts together
	Shift   [][]float64 // [part][visit] d Above / d Shift, 1/s
}

// Gradient computes how Above(t) depends on every stage, into out, whose memory is used again. The sensitivity of a percentile
// t is d t / d ln rate = LogRate / Density, and with the rate λ itself d Above / d λ = LogRate / λ.
func (m *Mixture) Gradient(t float64, out *Gradient) { panic("coming") }

// Tail is what requests beyond a latency spend their time on.
type Tail struct {
	At    float64     // s: the latency beyond which the requests are
	Share float64     // of requests beyond it
	Mean  float64     // s: their mean latency; the sum of Own
	Own   [][]float64 // [part][visit] s: mean time of the request, among those beyond At, spent waiting for this visit itself. Where callees go on side by side, that of the longest
	All   [][]float64 // [part][visit] s: the same of all requests, so that Own - All is the excess
}

// Tail says who makes up the requests that take longer than percentile p.
func (m *Mixture) Tail(p float64) (Tail, error) { panic("coming") }
