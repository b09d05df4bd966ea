package tail

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// envelope is what was seen in training.
type envelope struct {
	History []span // services × channels
	Cores   []span // by ServiceID
	Latent  cloud  // the network's features
}

// span is the least and the most.
type span struct{ Low, High float32 }

func spans(m []moments) []span {
	out := make([]span, len(m))
	for i := range m {
		if out[i] = (span{float32(m[i].low), float32(m[i].high)}); m[i].n == 0 {
			out[i] = span{float32(math.NaN()), float32(math.NaN())} // nothing is outside of it
		}
	}
	return out
}

// slack is the share of a span, or of its end, by which a number may leave it unmentioned.
const slack = 0.05

// beyond is how far x lies outside, in spans; 0: it does not.
func (s span) beyond(x float64) float64 {
	low, high := float64(s.Low), float64(s.High)
	room := max(slack*(high-low), slack*math.Abs(high), 1e-6)
	switch {
	case x > high+room:
		return (x - high) / max(high-low, room)
	case x < low-room:
		return (low - x) / max(high-low, room)
	}
	return 0
}

// units are what sentences call channels.
var units = map[Channel]string{Rate: "requests/s", Replicas: "replicas", Cores: "cores in effect", Used: "cores used by a replica", Memory: "MB used by a replica",
	InFlight: "requests in flight", Arrivals: "requests/s to it", Wait: "of the time throttled"}

// mostSentences is how many Outside returns at most; the farthest come first.
const mostSentences = 12

// Outside tells in what way these steps (the last Steps seconds) and a candidate (total cores by ServiceID) lie outside what
// the model was trained on, as sentences, the farthest first; none: inside. A number is outside when it leaves the range that
// was seen by more than a twentieth; and the whole is, when what the network makes of it is farther from the mean of the
// training data than all but one in a thousand of those, by Mahalanobis' distance, even though each number was seen.
func (m *Model) Outside(steps []Step, cores []float64) []string {
	p := m.Predictor()
	if err := p.Look(steps); err != nil {
		return []string{err.Error()}
	}
	n := len(m.schema.Services)
	if len(cores) != n {
		return []string{fmt.Sprintf("the candidate has cores for %d services, the application has %d", len(cores), n)}
	}
	type found struct {
		far  float64
		text string
	}
	var all []found
	say := func(far float64, format string, args ...any) {
		if far > 0 {
			all = append(all, found{far, fmt.Sprintf(format, args...)})
		}
	}
	values := make([]float64, m.layout.width())
	m.layout.values(&steps[len(steps)-1], values)
	for i, name := range m.schema.Services {
		if m.schema.Gone(i) {
			continue
		}
		s := m.envelope.Cores[i]
		say(s.beyond(cores[i]), "%s: %s cores, trained on %s", name, short(cores[i]), s)
		for k, c := range m.channels {
			at := i*len(m.channels) + k
			s, v := m.envelope.History[at], values[at]
			switch {
			case c == Rate:
				if i == m.firstService() {
					say(s.beyond(v), "%s requests/s, trained on %s", short(v), s)
				}
			default:
				say(s.beyond(v), "%s: %s %s, trained on %s", name, short(unlog(c, v)), units[c], span{float32(unlog(c, float64(s.Low))), float32(unlog(c, float64(s.High)))})
			}
		}
	}
	out := make([]Prediction, 1)
	p.Try([][]float64{cores}, out)
	if d := m.envelope.Latent.distance(p.net.Features().Row(0)); d > float64(m.envelope.Latent.Most) {
		say(d/float64(m.envelope.Latent.Most)-1, "all together is unlike what it was trained on: distance %s, trained up to %s", short(d), short(float64(m.envelope.Latent.Most)))
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(b.far, a.far) })
	var text []string
	for _, f := range all[:min(len(all), mostSentences)] {
		text = append(text, f.text)
	}
	return text
}

func (s span) String() string {
	if s.Low == s.High {
		return short(float64(s.Low))
	}
	return short(float64(s.Low)) + " to " + short(float64(s.High))
}

// short is a number with three digits, or all before the point.
func short(v float64) string {
	if math.Abs(v) >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func (m *Model) firstService() int {
	for i := range m.schema.Services {
		if !m.schema.Gone(i) {
			return i
		}
	}
	return -1
}

// cloud is the mean and the spread of points, with the distance that all but one in a thousand of them keep.
type cloud struct {
	Mean []float32
	Root []float32 // lower triangle, row by row, of the Cholesky root of the covariance
	Most float32
}

// ridge is added to each variance, as a share of their mean: features that are always 0 have none.
const ridge = 0.01

// cloudOf measures rows of cols numbers.
func cloudOf(rows []float32, cols int) cloud {
	n := len(rows) / cols
	mean, cov := make([]float64, cols), make([]float64, cols*cols)
	for i := range n {
		for j, v := range rows[i*cols : (i+1)*cols] {
			mean[j] += float64(v) / float64(n)
		}
	}
	d := make([]float64, cols)
	for i := range n {
		for j, v := range rows[i*cols : (i+1)*cols] {
			d[j] = float64(v) - mean[j]
		}
		for j := range cols {
			for k := range j + 1 {
				cov[j*cols+k] += d[j] * d[k] / float64(n)
			}
		}
	}
	trace := 0.0
	for j := range cols {
		trace += cov[j*cols+j]
	}
	out := cloud{}
	for j := range cols {
		cov[j*cols+j] += ridge*trace/float64(cols) + 1e-9
		out.Mean = append(out.Mean, float32(mean[j]))
	}
	for j := range cols { // Cholesky
		for k := range j + 1 {
			sum := cov[j*cols+k]
			for l := range k {
				sum -= cov[j*cols+l] * cov[k*cols+l]
			}
			if j == k {
				cov[j*cols+j] = math.Sqrt(max(sum, 1e-12))
			} else {
				cov[j*cols+k] = sum / cov[k*cols+k]
			}
		}
		for k := range j + 1 {
			out.Root = append(out.Root, float32(cov[j*cols+k]))
		}
	}
	far := make([]float64, n)
	for i := range far {
		far[i] = out.distance(rows[i*cols : (i+1)*cols])
	}
	slices.Sort(far)
	if n > 0 {
		out.Most = float32(far[n-1-n/1000])
	}
	return out
}

// distance is Mahalanobis' from the mean.
func (c *cloud) distance(x []float32) float64 {
	z := make([]float64, len(x))
	at, sum := 0, 0.0
	for j := range x {
		v := float64(x[j]) - float64(c.Mean[j])
		for k := range j {
			v -= float64(c.Root[at+k]) * z[k]
		}
		z[j] = v / float64(c.Root[at+j])
		at += j + 1
		sum += z[j] * z[j]
	}
	return math.Sqrt(sum)
}
