package acting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/cluster/testbed/cgroup"
	"foresail.dev/cmd/foresail/seeing"
	"foresail.dev/fault"
	"foresail.dev/load"
	"foresail.dev/loop"
	"foresail.dev/model/foresee"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/seer"
)

// written is a simulated cluster whose plans are also written to control groups of this machine, as the testbed does. It notes the time from
// the end of a beat, when its snapshot is handed out, until the last limit of a plan is written.
type written struct {
	*sim.Cluster
	groups []cgroup.Group
	handed time.Time
	took   []time.Duration
	writes int
}

func (w *written) Next(ctx context.Context) (*foresail.Snapshot, error) {
	s, err := w.Cluster.Next(ctx)
	w.handed = time.Now()
	return s, err
}

func (w *written) Apply(ctx context.Context, p *foresail.Plan) error {
	for _, c := range p.Changes {
		if w.groups == nil {
			break
		}
		if _, err := w.groups[c.Service].SetCPU(c.To.CPU); err != nil {
			return err
		}
		w.writes++
	}
	if len(p.Changes) > 0 {
		w.took = append(w.took, time.Since(w.handed))
	}
	return w.Cluster.Apply(ctx, p)
}

// groups makes a control group for each service; nil where that is not permitted.
func groups(b *testing.B, n int) (out []cgroup.Group) {
	h, err := cgroup.Detect()
	if err != nil {
		b.Logf("no control groups: %v; what is written to them is left out", err)
		return nil
	}
	parent := fmt.Sprintf("foresail-bench-%d", os.Getpid())
	b.Cleanup(func() {
		for _, g := range out {
			_ = g.Remove()
		}
		_ = cgroup.Destroy(h.Dirs(parent), time.Second)
	})
	if err := h.Prepare(parent); err != nil {
		b.Logf("no control groups: %v; what is written to them is left out", err)
		return nil
	}
	for i := range n {
		g, err := h.Make(fmt.Sprintf("%s/s%d", parent, i))
		if err != nil {
			b.Logf("no control groups: %v; what is written to them is left out", err)
			return nil
		}
		out = append(out, g)
	}
	return out
}

// From a beat's end to an action written, on the path that users take: the loop, its history, the inner manager in the guard when it is its turn, a
// hybrid network of 36 services asked through the wrapper, and the limits of a plan written to control groups. Asked for are 20 ms.
// benchstat: go test -run '^$' -bench BeatToAction -count 6 ./cmd/foresail/acting | tee new.txt; benchstat old.txt new.txt
func BenchmarkBeatToAction(b *testing.B) {
	bp, err := appfile.ReadApp("social-network")
	if err != nil {
		b.Fatal(err)
	}
	model := learnt(b, bp)
	inner, err := managers.GuardedBuild("autoscale-cons", "hpa", bp.App, managers.Options{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := managers.Foreseen(inner, model, seer.Config{Alarm: 1e-9, Again: foresail.Beat, Hold: time.Second}) // danger without end: each beat acts
	if err != nil {
		b.Fatal(err)
	}
	s, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 100}}}, Seed: 1,
		Faults: &fault.Schedule{Fixed: []fault.Fault{{Kind: fault.CPUContention, Amount: 0.9, At: time.Second, Target: fault.Target{Service: "post-storage-service"}}}}})
	if err != nil {
		b.Fatal(err)
	}
	w := &written{Cluster: s, groups: groups(b, len(bp.App.Services))}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	beats := 0
	b.ReportAllocs()
	b.ResetTimer()
	err = loop.Run(ctx, w, m, loop.Options{Mode: loop.Auto, Events: loop.Events{Observed: func(*foresail.History, *foresail.Snapshot) {
		if beats++; beats > b.N+20 {
			stop()
		}
	}}})
	if err != nil && !errors.Is(err, io.EOF) {
		b.Fatal(err)
	}
	b.StopTimer()
	if len(w.took) == 0 {
		return
	}
	slices.Sort(w.took)
	b.ReportMetric(float64(w.took[len(w.took)/2].Microseconds())/1e3, "ms_p50")
	b.ReportMetric(float64(w.took[len(w.took)*99/100].Microseconds())/1e3, "ms_p99")
	b.ReportMetric(float64(w.writes)/float64(len(w.took)), "limits/action")
}

// learnt is a hybrid that has learnt from a few minutes: what it says is worth little, and takes as long as what a good one says.
func learnt(b *testing.B, bp *foresail.Blueprint) *managers.Foresight {
	o := seeing.Operation{Blueprint: bp, Low: 100, High: 200, Every: seeing.Between, Traced: 1, Duration: 5 * time.Minute, Kinds: seeing.Usual}
	runs, err := o.Collect(b.Context(), 11, 4, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	cfg := foresee.Default()
	cfg.Epochs = 1
	m, _, err := foresee.Train(b.Context(), foresee.SchemaOf(bp.App), seeing.Runs(runs), cfg, nil)
	if err != nil {
		b.Fatal(err)
	}
	var file bytes.Buffer
	if err := foresee.Write(&file, m); err != nil {
		b.Fatal(err)
	}
	f, err := managers.ReadForesight(file.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	return f
}
