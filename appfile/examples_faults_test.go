package appfile

import (
	"testing"
	"time"

	"foresail.dev/fault"
)

// The examples are read for what their notes say they are for, and have every kind between them.
func TestExampleFaults(t *testing.T) {
	bp, err := ReadApp("social-network")
	if err != nil {
		t.Fatal(err)
	}
	rack, err := ReadNodes("../examples/nodes/rack.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := &fault.World{Versions: []fault.Version{{Blueprint: bp}}, Duration: time.Hour}
	random, err := ReadFaults("../examples/faults/social-random.yaml", w)
	if err != nil {
		t.Fatal(err)
	}
	all, err := random.Draw(1, w)
	if err != nil || len(all) < 20 {
		t.Errorf("%d faults in an hour, %v", len(all), err)
	}
	for _, n := range rack.Nodes {
		w.Nodes = append(w.Nodes, n.Name)
	}
	tour, err := ReadFaults("../examples/faults/social-tour.yaml", w)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[fault.Kind]bool{}
	for _, f := range tour.Fixed {
		kinds[f.Kind] = true
	}
	if len(kinds) != fault.Kinds || len(tour.Fixed) != fault.Kinds {
		t.Errorf("the tour has %d faults of %d kinds", len(tour.Fixed), len(kinds))
	}
}
