package foresee

import (
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/model/foresee/label"
)

// Judgement is what a detector says at the end of a beat.
type Judgement struct {
	Score   float64            // the higher, the more probable is a violation; NaN: nothing can be said
	Service foresail.ServiceID // that would start it
}

// Detector foresees.
type Detector interface {
	// Judge fills out, one for each beat of a run, with what can be said at its end, from it and those before.
	Judge(r *Run, out []Judgement)
}

// Utilisation is a detector that knows nothing but how much of its CPU each service uses.
type Utilisation struct{}

// Judge implements Detector.
func (Utilisation) Judge(r *Run, out []Judgement) {
	for t := range out {
		row := r.At(t)
		out[t] = Judgement{Score: math.NaN()}
		for s := range r.Services {
			out[t].offer(float64(row[s*Numbers+utilisation]), foresail.ServiceID(s))
		}
	}
}

func (j *Judgement) offer(score float64, s foresail.ServiceID) {
	if score > j.Score || score == score && j.Score != j.Score {
		*j = Judgement{score, s}
	}
}

// Queue is a detector that looks at how much longer than usual a service's queue is, in standard deviations of its logarithm.
type Queue struct {
	order []foresail.ServiceID
	scale []affine
}

// NewQueue learns what is usual.
func NewQueue(runs []*Run, horizon time.Duration) *Queue {
	q := &Queue{}
	for s := range runs[0].Services {
		q.order = append(q.order, foresail.ServiceID(s))
	}
	q.scale = scaling(runs, q.order, []int{inFlightLast}, calm(runs, horizon, 1))
	return q
}

// calm tells beats before which nothing is wrong.
func calm(runs []*Run, horizon time.Duration, window int) func(run, beat int) bool {
	all := make([][]moment, len(runs))
	for i, r := range runs {
		all[i] = moments(r, horizon, window)
	}
	return func(run, beat int) bool { return all[run][beat].what == quiet }
}

// Judge implements Detector.
func (q *Queue) Judge(r *Run, out []Judgement) {
	for t := range out {
		row := r.At(t)
		out[t] = Judgement{Score: math.NaN()}
		for s := range r.Services {
			out[t].offer(float64(q.scale[s].of(row[s*Numbers+inFlightLast])), foresail.ServiceID(s))
		}
	}
}

// Gap is how many beats without an alarm end a warning, and Longest how many it lasts at most: an alarm that never ends is
// one warning after another.
const (
	Gap     = 10
	Longest = 20
)

// Outcome is what became of one episode.
type Outcome struct {
	Run, Episode int
	Caught       bool
	Named        foresail.ServiceID // by the first alarm of its run-up
	Lead         time.Duration      // from that alarm until it was broken
}

// Result is how well was foreseen.
type Result struct {
	Outcomes     []Outcome // one for each episode that could be foreseen
	Right, False int       // warnings
}

// Caught is how many episodes were.
func (r *Result) Caught() (n int) {
	for _, o := range r.Outcomes {
		if o.Caught {
			n++
		}
	}
	return n
}

// Recall is the share of episodes that were caught; NaN without any.
func (r *Result) Recall() float64 { return float64(r.Caught()) / float64(len(r.Outcomes)) }

// Precision is the share of warnings that were right; NaN without any.
func (r *Result) Precision() float64 { return float64(r.Right) / float64(r.Right+r.False) }

// Top1 is the share of caught episodes whose culprit was named, of those with one; NaN without any.
func (r *Result) Top1(runs []*Run) float64 {
	right, n := 0, 0
	for _, o := range r.Outcomes {
		if c := runs[o.Run].Episodes[o.Episode].Culprit; o.Caught && c != label.Nobody {
			n++
			if c == o.Named {
				right++
			}
		}
	}
	return float64(right) / float64(n)
}

// Lead is the median lead of caught episodes; 0 without any.
func (r *Result) Lead() time.Duration {
	var all []time.Duration
	for _, o := range r.Outcomes {
		if o.Caught {
			all = append(all, o.Lead)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// Judged is a run with what a detector said, and what there was to say.
type Judged struct {
	run     *Run
	says    []Judgement
	moments []moment
	runUps  []int // of episodes that could be foreseen: those that the run does not begin with
}

// JudgeAll asks a detector about runs. Beats of the first window count nothing.
func JudgeAll(d Detector, runs []*Run, horizon time.Duration, window int) []Judged {
	out := make([]Judged, len(runs))
	for i, r := range runs {
		j := Judged{run: r, says: make([]Judgement, r.Beats()), moments: moments(r, horizon, window)}
		for t := range min(window, len(j.moments)) {
			j.moments[t] = moment{what: ongoing, episode: -1}
		}
		if m, ok := d.(*Model); ok {
			m.judge(r, j.says, func(t int) bool { return j.moments[t].what != ongoing }) // the rest counts nothing
		} else {
			d.Judge(r, j.says)
		}
		last := int32(-1)
		for _, m := range j.moments {
			if m.what == nearing && m.episode != last {
				last = m.episode
				j.runUps = append(j.runUps, int(last))
			}
		}
		out[i] = j
	}
	return out
}

// Evaluate counts what alarms above a threshold would have told.
func Evaluate(all []Judged, threshold float64) Result {
	var out Result
	for i := range all {
		j := &all[i]
		first := map[int32]int{} // alarm of an episode
		warned, right, since, lasted := false, false, 0, 0
		end := func() {
			if warned && right {
				out.Right++
			} else if warned {
				out.False++
			}
			warned, right = false, false
		}
		for t, m := range j.moments {
			if m.what == ongoing {
				end()
				continue
			}
			if since++; since > Gap {
				end()
			}
			if lasted++; warned && lasted >= Longest {
				end()
			}
			if !(j.says[t].Score >= threshold) {
				continue
			}
			if !warned {
				lasted = 0
			}
			warned, since = true, 0
			if m.what != quiet {
				right = true
				if _, ok := first[m.episode]; !ok {
					first[m.episode] = t
				}
			}
		}
		end()
		for _, e := range j.runUps {
			o := Outcome{Run: i, Episode: e, Named: label.Nobody}
			if t, ok := first[int32(e)]; ok {
				o.Caught, o.Named, o.Lead = true, j.says[t].Service, j.run.Episodes[e].Broken.Sub(j.run.End(t))
			}
			out.Outcomes = append(out.Outcomes, o)
		}
	}
	return out
}

// Tune is the threshold with which most episodes are caught among those with a precision of at least precise, and where there
// is none, that with the best harmonic mean of both; +Inf where nothing can be caught. It is one of the scores that an
// episode's run-up reached.
func Tune(all []Judged, precise float64) float64 {
	var candidates []float64
	for i := range all {
		best := map[int32]float64{}
		for t, m := range all[i].moments {
			if s := all[i].says[t].Score; (m.what == nearing || m.what == early) && s == s {
				if b, ok := best[m.episode]; !ok || s > b {
					best[m.episode] = s
				}
			}
		}
		for _, s := range best {
			candidates = append(candidates, s)
		}
	}
	slices.Sort(candidates)
	candidates = slices.Compact(candidates)
	threshold, bestRank := math.Inf(1), -1.0
	for k := range min(len(candidates), mostCandidates) {
		at := candidates[k*len(candidates)/min(len(candidates), mostCandidates)]
		r := Evaluate(all, at)
		recall, precision := r.Recall(), r.Precision()
		rank := 2 * recall * precision / (recall + precision)
		if precision >= precise {
			rank = 1 + recall
		}
		if rank >= bestRank { // of equals the highest, which warns least
			threshold, bestRank = at, rank
		}
	}
	return threshold
}

const mostCandidates = 200
