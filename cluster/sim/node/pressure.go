package node

// Resource is what an antagonist can take of a node.
type Resource uint8

// The resources.
const (
	CPU Resource = iota
	Cache
	MemoryBandwidth
	Network
	Disk
	Loss // of packets on the link, as a share of them
	resources
)

// MaxPressure is the largest share that antagonists take together; what is left keeps things going.
const MaxPressure = 0.98

// Pressure is the share of each resource that antagonists take. Its zero value is none.
type Pressure [resources]float64

// Add lets antagonists take more, or less where amount is negative. Amounts of several antagonists add up.
func (p *Pressure) Add(r Resource, amount float64) {
	p[r] += amount
	if p[r] < 1e-9 { // what rounding leaves when the last one ends
		p[r] = 0
	}
}

// Of is the share taken, at most MaxPressure.
func (p *Pressure) Of(r Resource) float64 { return min(p[r], MaxPressure) }

// Left is the share that is left.
func (p *Pressure) Left(r Resource) float64 { return 1 - p.Of(r) }
