package fault

import "time"

// Schedule is all that goes wrong in a run.
type Schedule struct {
	Name   string
	Fixed  []Fault
	Random []Random
}

// Random is faults of one kind that come at random: a Poisson process. Each number is drawn evenly from its range, both
// ends included; a range whose ends are zero stands for a number that is not given.
type Random struct {
	Kind        Kind
	Every       time.Duration // mean time from one to the next
	From, Until time.Duration // when they may begin; Until 0: to the end of the run
	For         Range[time.Duration]
	// Targets is what may be hit, each as likely; empty: all that there is for the kind, services rather than nodes where
	// it could be either.
	Targets []Target
	Amount  Range[float64]
	Length  Range[time.Duration]
	Period  Range[time.Duration]
	Jitter  Range[float64]
	Errors  Range[float64]
	Leak    Range[float64]
}

// Range is what a number is drawn from, both ends included.
type Range[T float64 | time.Duration] struct{ Min, Max T }

// Just is a range of one value.
func Just[T float64 | time.Duration](v T) Range[T] { return Range[T]{v, v} }

// ends are the faults with all least and all greatest numbers, without a target.
func (r *Random) ends() (least, most Fault) {
	least = Fault{Kind: r.Kind, At: r.From, For: r.For.Min, Amount: r.Amount.Min, Length: r.Length.Min, Period: r.Period.Min,
		Jitter: r.Jitter.Min, Errors: r.Errors.Min, Leak: r.Leak.Min}
	most = Fault{Kind: r.Kind, At: r.From, For: r.For.Max, Amount: r.Amount.Max, Length: r.Length.Max, Period: r.Period.Max,
		Jitter: r.Jitter.Max, Errors: r.Errors.Max, Leak: r.Leak.Max}
	return least, most
}
