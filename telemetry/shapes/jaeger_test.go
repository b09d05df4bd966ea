package shapes_test

import (
	"math"
	"os"
	"testing"

	"foresail.dev"
	"foresail.dev/telemetry/jaeger"
	"foresail.dev/telemetry/shapes"
)

// The real traces of DeathStarBench's social network, in which some calls go on side by side.
func TestDeathStarBench(t *testing.T) {
	f, err := os.Open("../../../shared/data/dsb-traces/social-network-jaeger.json.gz")
	if err != nil {
		t.Skipf("the traces are not here: %v", err)
	}
	defer f.Close()
	names := []string{"nginx-web-server", "compose-post-service", "user-service", "unique-id-service", "media-service", "text-service", "url-shorten-service", "user-mention-service",
		"post-storage-service", "user-timeline-service", "home-timeline-service", "social-graph-service"}
	app := &foresail.App{Endpoints: []foresail.Endpoint{{Name: "compose", Operation: "/wrk2-api/post/compose"}}}
	for _, n := range names {
		app.Services = append(app.Services, foresail.Service{Name: n})
	}
	c := shapes.New(app, shapes.Options{})
	sum := 0.0
	if _, err := jaeger.Read(f, func(spans []foresail.Span) error {
		c.Trace(spans)
		for i := range spans {
			if spans[i].Parent == (foresail.SpanID{}) {
				sum += spans[i].End.Sub(spans[i].Start).Seconds()
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	told := c.Cut(start)
	s := c.Stats()
	t.Logf("%+v", s)
	took, requests := 0.0, 0.0
	for i := range told {
		t.Log(told[i].Requests, told[i].Form.Key())
		took += latency(&told[i], 0)
		requests += told[i].Requests
	}
	if s.Complete != 20 || requests != 20 {
		t.Fatalf("%+v", s)
	}
	if math.Abs(took/sum-1) > 0.05 {
		t.Errorf("own times come to %v s of %v", took, sum)
	}
}
