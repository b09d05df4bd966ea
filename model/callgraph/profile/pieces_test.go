package profile_test

import (
	"encoding/csv"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"foresail.dev/model/callgraph/profile"
)

// planted draws runs of two pieces that meet at a knee which falls as the node gets busier, with noise of a share.
func planted(rng *rand.Rand, noise float64) (runs []profile.Run) {
	for _, cpu := range []float64{0.1, 0.3, 0.5} {
		for _, mem := range []float64{0.2, 0.6} {
			knee := kneeAt(cpu)
			for load := 100.0; load <= 2000; load += 50 {
				y := (4*cpu+2*mem+1)*load + 3000
				if load > knee {
					y += 20 * (load - knee)
				}
				runs = append(runs, profile.Run{Load: load, P95: y * (1 + noise*rng.NormFloat64()), CPU: cpu, Memory: mem, Used: 0.2 + 0.3*load/1000})
			}
		}
	}
	return runs
}

func kneeAt(cpu float64) float64 { return 1400 - 1000*cpu }

func TestPlantedPiecesAreFound(t *testing.T) {
	runs := planted(rand.New(rand.NewPCG(1, 2)), 0.02)
	for i := 0; i < len(runs); i += 25 { // outliers
		runs[i].P95 *= 8
	}
	p, err := profile.FitPieces(runs)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "A", p.Before.A, 4, 0.15)
	within(t, "B", p.Before.B, 2, 0.15)
	within(t, "C", p.Before.C, 1, 0.5)
	within(t, "D", p.Before.D, 3000, 0.1)
	for _, cpu := range []float64{0.1, 0.3, 0.5} {
		within(t, "knee", p.Inflection(cpu, 0.2), kneeAt(cpu), 0.1)
		for _, load := range []float64{300, 800, 1800} {
			want := (4*cpu+2*0.2+1)*load + 3000 + 20*max(load-kneeAt(cpu), 0)
			within(t, "latency", p.Latency(load, cpu, 0.2), want, 0.15)
		}
	}
	if p.Low || p.After.Slope(0.3, 0.2) < 15 {
		t.Errorf("%+v", p)
	}
}

func TestAServiceThatIsHardlyUsedHasAModelOfItsOwn(t *testing.T) {
	runs := planted(rand.New(rand.NewPCG(1, 2)), 0.02)
	for i := range runs {
		runs[i].Used /= 4
	}
	p, err := profile.FitPieces(runs)
	if err != nil || !p.Low || p.Before.C != 0.001 || p.After.C != 0.002 || p.Before.D != p.After.D {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestRunsThatShowNoTwoPieces(t *testing.T) {
	falling, few := planted(rand.New(rand.NewPCG(1, 2)), 0), planted(rand.New(rand.NewPCG(1, 2)), 0)[:5]
	for i := range falling {
		falling[i].P95 = 1e6 / falling[i].Load
	}
	for i := range few {
		few[i].Used = 0
	}
	missed := planted(rand.New(rand.NewPCG(1, 2)), 0)
	for i := range missed {
		missed[i].RateError = 0.5
	}
	for name, runs := range map[string][]profile.Run{"falling": falling, "few": few, "none": nil, "missed": missed} {
		if p, err := profile.FitPieces(runs); !errors.Is(err, profile.ErrRuns) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := profile.FitPieces([]profile.Run{{Load: math.NaN(), P95: 1}}); err == nil || errors.Is(err, profile.ErrRuns) {
		t.Error("a load that is not a number: ", err)
	}
}

// The models published with Erms are planted, at no interference and at some; what is fitted predicts the same latencies.
// Those that don't rise on both sides, steeper on the second, are left out.
func TestPublishedPiecesAreFoundAgain(t *testing.T) {
	f, err := os.Open("../../../../shared/data/erms/latency-models.csv")
	if err != nil {
		t.Skip("needs the outside data in ../shared/data: ", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	piece := func(row []string) profile.Piece {
		var v [4]float64
		for i := range v {
			v[i], _ = strconv.ParseFloat(row[5+i], 64)
		}
		return profile.Piece{A: v[0], B: v[1], C: v[2], D: v[3]}
	}
	tried, found := 0, 0
	for i := 1; i+1 < len(rows); i += 2 {
		before, after := piece(rows[i]), piece(rows[i+1])
		cpu, mem := 0.3, 0.3
		knee := (before.D - after.D) / (after.Slope(cpu, mem) - before.Slope(cpu, mem)) // where they meet
		if !(before.Slope(cpu, mem) > 0 && after.Slope(cpu, mem) > before.Slope(cpu, mem) && knee > 0 && before.D > 0) {
			continue
		}
		truth := func(load float64) float64 {
			return max(before.Latency(load, cpu, mem), after.Latency(load, cpu, mem))
		}
		var runs []profile.Run
		for k := range 40 {
			load := knee * (0.05 + 0.05*float64(k))
			runs = append(runs, profile.Run{Load: load, P95: truth(load) * (1 + 0.03*rng.NormFloat64()), CPU: cpu, Memory: mem})
		}
		tried++
		p, err := profile.FitPieces(runs)
		if err != nil {
			t.Logf("%s %s: %v", rows[i][1], rows[i][2], err)
			continue
		}
		good := true
		for _, at := range []float64{0.3, 0.8, 1.3, 1.9} {
			if math.Abs(p.Latency(at*knee, cpu, mem)/truth(at*knee)-1) > 0.15 {
				good = false
				t.Logf("%s %s at %v of the knee: %v, want %v", rows[i][1], rows[i][2], at, p.Latency(at*knee, cpu, mem), truth(at*knee))
			}
		}
		if good {
			found++
		}
	}
	t.Logf("%d of %d published models found again", found, tried)
	if tried < 8 || float64(found) < 0.9*float64(tried) {
		t.Errorf("%d of %d published models found again", found, tried)
	}
}
