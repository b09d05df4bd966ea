package erms

// Piece is one line of a latency model: the latency of a microservice whose containers get x requests each is A·x + B.
type Piece struct{ A, B float64 }

// Model is the latency of a microservice over the load of one of its containers: one line up to the inflection and another
// beyond it. Latencies have any one unit, that of Request.SLA, and loads any other, that of Request.Workload.
type Model struct {
	Before, After Piece
	Inflection    float64
}

// NewModel is the model of two lines, whose inflection is where they cross. It is computed from the slopes as they are, also
// where one is negative.
func NewModel(before, after Piece) Model {
	m := Model{Before: before, After: after}
	if before != after {
		m.Inflection = (after.B - before.B) / (before.A - after.A)
	}
	return m
}

// Entry is the model of an entry point (nginx, a frontend), to which the authors give next to no latency.
func Entry() Model { return NewModel(Piece{A: 1e-5}, Piece{A: 2e-5}) }

// Unknown is the model of a microservice of which none was fitted.
func Unknown() Model { return Model{Before: Piece{A: 1e-6}, After: Piece{A: 1e-6}} }

// Fit is a line whose slope hangs on the interference at its nodes: latency = (CPU·cpu + Memory·memory + Base)·x + Bias.
type Fit struct{ CPU, Memory, Base, Bias float64 }

// At is the line at so much CPU and memory used by others.
func (f Fit) At(cpu, memory float64) Piece {
	return Piece{f.CPU*cpu + f.Memory*memory + f.Base, f.Bias}
}

// Call is a microservice within a request.
type Call struct {
	Microservice int
	Parent       int // index into Request.Calls; -1 for the first
	// Step orders the calls of one parent: those of one step go on side by side, steps follow each other in the order in which
	// they are listed.
	Step int
	// Times is how often it is made, one after the other, within one request; 0 means once.
	Times float64
	// Constant is latency that no number of containers changes: of calls to databases, say.
	Constant float64
}

func (c *Call) times() float64 {
	if c.Times == 0 {
		return 1
	}
	return c.Times
}

// Request is what the authors call a service: requests of one kind, which must be done within an SLA.
type Request struct {
	Calls    []Call // parents before their children, and the calls of one step of one parent in one run among its children
	SLA      float64
	Workload float64 // requests, in the unit that the models' loads have; above 0
	// Workloads are those of microservices that do not get Workload, by microservice; nil: there are none.
	Workloads map[int]float64
	// Models are those fitted to requests of this kind, by microservice; one that is left out is Unknown.
	Models map[int]Model
}

// Sharing says what becomes of microservices that several kinds of requests call.
type Sharing int

const (
	// Priority: there, requests with a smaller latency target go first, so that those of a kind wait for all with a smaller
	// target, and for no others. Latency targets are computed again with those workloads.
	Priority Sharing = iota
	// Fair: the smallest target holds for all of them together.
	Fair
)

// Target is what came out for one Call.
type Target struct {
	Model      Model
	After      bool    // the second piece of the model holds
	A, B       float64 // of that piece, with Times and Constant in them
	Latency    float64 // the latency target
	Workload   float64
	Containers float64 // +Inf where no number does
	// MergedA and MergedB are the line of all that the call waits for, itself included, as it was when the target was computed.
	MergedA, MergedB float64
}

// Scaled is what came out.
type Scaled struct {
	Targets [][]Target // by request and call
	// Feasible is, by request, whether its targets can be met at all.
	Feasible []bool
	// Containers are the most that any call needs of a microservice: a whole number, at least 1, or +Inf.
	Containers map[int]float64
}

// Scale splits the SLA of each kind of requests into latency targets of the microservices that it calls, so that they need
// the fewest containers (Luo et al., "Erms", ASPLOS 2023, §4.2 and §4.3; where the paper leaves it open, as the published
// scaler does it).
//
// What a call waits for is merged into one line: two that follow each other into one with slope
// (√(a₁w₁) + √(a₂w₂))² / min(w₁, w₂) and offset b₁ + b₂, those side by side into one with slope Σ aᵢwᵢ / min(w) and offset
// max bᵢ, where w is the workload. Going down again, each gets its share √(aw) / √(AW) of what is left above the offsets.
// Which piece of its model holds for a microservice is chosen by its target, twice; then those whose target is negative, or
// below the offset of their first piece, are held to their first piece, until there is none left. Containers are
// ⌈a·w / (target − b)⌉.
func Scale(requests []Request, how Sharing) Scaled {
	trees := make([]*tree, len(requests))
	models := shared(requests)
	for i := range requests {
		trees[i] = newTree(&requests[i], models)
	}
	s := Scaled{Feasible: make([]bool, len(requests))}
	for i, t := range trees {
		s.Feasible[i] = t.split(requests[i].SLA)
	}
	if len(requests) > 1 {
		switch how {
		case Priority:
			prioritise(trees)
			for i, t := range trees {
				s.Feasible[i] = t.split(requests[i].SLA)
			}
		case Fair:
			join(trees)
		}
	}
	s.Containers = map[int]float64{}
	for _, t := range trees {
		s.Targets = append(s.Targets, t.targets)
		for k := range t.targets {
			ms := t.calls[k].Microservice
			s.Containers[ms] = max(s.Containers[ms], t.targets[k].Containers, 1)
		}
	}
	return s
}
