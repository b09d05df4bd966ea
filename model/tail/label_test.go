package tail

import "testing"

// What the three labels say of four seconds: some requests a second, so many of them late, and the p99 of all.
func TestLabels(t *testing.T) {
	schema := &Schema{Services: []string{"a"}, Max: []float64{1}, Endpoints: []string{"e", "free"}, Reference: 100,
		Objectives: []Objective{{Latency: 100, Percentile: 99, MinRequests: 100}, {}}}
	for _, c := range []struct {
		name                       string
		requests, late, p99        [4]float64
		endpoints, windows, pooled bool
	}{
		{"nothing", [4]float64{50, 50, 50, 50}, [4]float64{}, [4]float64{90, 90, 90, 90}, false, false, false},
		{"one late of few", [4]float64{40, 40, 40, 40}, [4]float64{0, 1, 0, 0}, [4]float64{90, 90, 90, 90}, true, false, false},
		{"two late, seconds apart", [4]float64{40, 40, 40, 40}, [4]float64{1, 0, 1, 0}, [4]float64{90, 90, 90, 90}, true, true, false},
		{"two late, in many", [4]float64{90, 90, 90, 90}, [4]float64{1, 0, 0, 1}, [4]float64{90, 90, 90, 90}, true, false, false},
		{"a second of many", [4]float64{500, 500, 500, 500}, [4]float64{0, 0, 6, 0}, [4]float64{90, 90, 101, 90}, true, true, true},
		{"just allowed", [4]float64{500, 500, 500, 500}, [4]float64{0, 0, 5, 0}, [4]float64{90, 90, 99, 90}, false, false, false},
	} {
		steps := make([]Step, 4)
		for i := range steps {
			// The endpoint without an objective is late always.
			steps[i] = Step{Endpoints: []EndpointStep{{c.requests[i], c.late[i]}, {10, 10}}}
			steps[i].Latency[P99] = c.p99[i]
		}
		for label, want := range map[Label]bool{LabelEndpoints: c.endpoints, LabelWindows: c.windows, LabelPooled: c.pooled} {
			l := layout{schema: schema, label: label}
			if got := l.violation(steps); got != want {
				t.Errorf("%s: label %s says %v", c.name, label, got)
			}
		}
	}
}

// Validation by blocks leaves a gap, so that no sample of training sees a second that validation sees.
func TestBlocksDoNotTouch(t *testing.T) {
	tab := &table{}
	for run := range int32(3) {
		for i := range int32(400) {
			tab.samples = append(tab.samples, sample{run*500 + i, run})
		}
	}
	r := newFitting(t.Context(), nil, Config{}, nil).rand
	p := split(tab, 0.1, 1, r)
	if n := len(p.stop) + len(p.odds); n != 120 || len(p.train) != 1080 {
		t.Errorf("%d kept, %d to train on", n, len(p.train))
	}
	p = split(tab, 0.2, 20, r)
	kept := append(p.stop, p.odds...)
	if len(kept) < 200 || len(p.train) < 500 {
		t.Errorf("%d kept, %d to train on", len(kept), len(p.train))
	}
	for _, a := range p.train {
		for _, b := range kept {
			if d := a.row - b.row; a.run == b.run && d > -(Past+Horizon) && d < Past+Horizon {
				t.Fatalf("sample %v of training and %v of validation share seconds", a, b)
			}
		}
	}
}
