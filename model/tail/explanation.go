package tail

// Explanation says what drove a prediction. Base is what the model says of what is normal: all inputs at their mean in
// training. Contributions of all drivers and that of the latencies sum to the difference between Base and Value.
type Explanation struct {
	P99     Explained // ms
	LogOdds Explained // of a violation in t+2 to t+5, before calibration
	Drivers []Driver  // each service and channel, and what is proposed; largest first
}

// Explained is one quantity.
type Explained struct{ Base, Value float64 }

// Driver is an input, or several that belong together.
type Driver struct {
	Service      string  // empty: of the whole application
	Channel      string  // a Channel, or "latency": percentiles seen so far; "proposed": the cores of the candidate
	Now, Usual   float64 // the last value, and the mean in training
	P99, LogOdds float64 // contributions
}
