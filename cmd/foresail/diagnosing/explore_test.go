package diagnosing

import (
	"fmt"
	"os"
	"testing"
	"time"

	"foresail.dev/model/diagnose/culprits"
	"foresail.dev/model/diagnose/rank"
)

func TestExplore(t *testing.T) {
	_, all, err := Read("../../../examples/culprits.yaml")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for _, d := range all {
		fmt.Println(d.Name, len(d.Cases), d.Notes)
		for _, m := range rank.Methods() {
			s, err := culprits.Evaluate(m, d.Cases, func() time.Duration { return time.Since(start) })
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("%-12s top1 %.3f top3 %.3f avg5 %.3f  %.2f ms %v\n", m.Name, s.Top(1), s.Top(3), s.Average(5), s.Took.Seconds()*1000/float64(len(d.Cases)), s.Places)
		}
		if os.Getenv("V") == "" {
			continue
		}
		m, _ := rank.ByName("foresail")
		for _, c := range d.Cases {
			l, _ := m.Rank(&c.Input)
			fmt.Println("##", c.Name, c.Culprit)
			for i, s := range l {
				if i < 4 || s.Name == c.Culprit {
					fmt.Printf("   %d %-40.40s %6.2f ", i+1, s.Name, s.Score)
					for _, e := range s.Why {
						fmt.Printf(" %s z%.1f +%.1f;", e.Sign, e.Z, e.Score)
					}
					fmt.Println()
				}
			}
		}
	}
}
