package published

import (
	"math"
	"testing"
)

// The rule begins with a p95 of 754.7 ms: as the artefact prints it.
func TestTheStartIsAsPrinted(t *testing.T) {
	chains := TrainTicket()
	it := Start(chains)
	if math.Abs(it.P95-754.7088012695312) > 1e-9 {
		t.Errorf("p95 %v", it.P95)
	}
	sum := 0.0
	for _, n := range it.Containers {
		sum += n
	}
	if math.Abs(sum-it.Total) > 1e-9 || len(it.Containers) != 12 {
		t.Errorf("%v containers are %v in all", it.Containers, it.Total)
	}
}
