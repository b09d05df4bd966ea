package shares

// A Method learns from many series how shares move.
type Method interface {
	// Name is what commands and files call it, like "regimes".
	Name() string
	// Train learns from series and keeps none of them; with none, the Model knows nothing and its Trackers learn from what they are
	// shown alone, as far as the method can. An error names a series that is none (Series.Check).
	Train(pool []Series, o Options) (Model, error)
}

// Options are what a method is told when it trains. None needs to be set.
type Options struct {
	Seed   uint64 // of everything that is drawn
	Epochs int    // through the training, for methods that train in epochs; 0: the method's own
}

// A Model follows series.
type Model interface {
	// Track starts following a series of some forms, of which nothing was observed yet. It reports false where the model can't
	// follow so many: a network is made for one number of forms.
	Track(classes int) (Tracker, bool)
}

// A Tracker follows one series. It is not safe for concurrent use, and deterministic.
type Tracker interface {
	// Observe takes the next window: shares that sum to one, and how many requests they were counted on (0: not known, the
	// shares are exact). It keeps nothing of row.
	Observe(row []float64, requests float64)
	// Predict writes what is expected, in the mean, ahead ≥ 1 windows after the last that was observed. It sums to one. Before
	// anything was observed all shares are the same.
	Predict(ahead int, dst []float64)
}

// A Mixer is a Tracker that knows what its mean is made of.
type Mixer interface {
	// Scenarios are the mixes that may come, ahead windows after the last, whose weighted mean Predict gives.
	Scenarios(ahead int) []Scenario
}

// Scenario is a mix that may come.
type Scenario struct {
	Weight float64 // its probability; of all scenarios together one
	Shares []float64
	Why    string // "as it is", "form 0 gives all to form 1"
}

// Slow is a Method whose training takes long: seconds, and not what a decision may wait for. Its Models can be kept.
type Slow interface {
	Method
	// Load makes a Model again of what its MarshalBinary returned.
	Load(data []byte) (Model, error)
}

// LastValue expects what was last. It has nothing to learn.
var LastValue Method = lastValue{}

type lastValue struct{}

func (lastValue) Name() string                           { return "last-value" }
func (lastValue) Train([]Series, Options) (Model, error) { return lastValue{}, nil }

func (lastValue) Track(classes int) (Tracker, bool) {
	return &last{row: uniform(classes)}, true
}

type last struct{ row []float64 }

func (l *last) Observe(row []float64, _ float64) { copy(l.row, row) }
func (l *last) Predict(_ int, dst []float64)     { copy(dst, l.row) }

func uniform(classes int) []float64 {
	row := make([]float64, classes)
	for i := range row {
		row[i] = 1 / float64(classes)
	}
	return row
}
