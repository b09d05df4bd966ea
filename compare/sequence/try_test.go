package sequence

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat"
)

func TestSampleAll(t *testing.T) {
	f, err := Read("../../examples/fluxion.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(os.Getenv("N"))
	req, _ := strconv.Atoi(os.Getenv("REQ"))
	for _, s := range f.Sequences {
		if !strings.Contains(os.Getenv("SEQ"), s.Name) {
			continue
		}
		for i, d := range s.deployments {
			at := time.Now()
			tab, err := s.samples(context.Background(), store{"/tmp/sequences/out"}, i, n, req, 2, 1, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			y, _ := tab.Column(d.bp.App.Services[d.front].Name + ":0.90")
			m, sd := stat.MeanStdDev(y, nil)
			fmt.Println(s.Name, i, d, time.Since(at), m*1000, sd*1000)
		}
	}
}
