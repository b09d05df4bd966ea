package petshop_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"foresail.dev/telemetry/petshop"
	"foresail.dev/telemetry/source"
)

func ExampleReadValues() {
	var faults source.Faults
	v, err := petshop.ReadValues(strings.NewReader(`microservice,PetSite,PetSite
metric,latency,requests
statistic,Average,Sum
unix_timestamp,,
1692608400.0,0.0535,488.0
1692608400.0,0.1,1.0
1692608700.0,,3.0
soon,1,2
`), &faults)
	fmt.Println(err, v.Times, v.Series[petshop.Column{Component: "PetSite", Metric: "latency", Statistic: "Average"}], faults.Count)
	// Output: <nil> [1692608400 1692608700] [0.0535 NaN] 2
}

func TestReadGraph(t *testing.T) {
	var faults source.Faults
	edges, err := petshop.ReadGraph(strings.NewReader(",a,b\na,0.0,1.0\nb,what,0\n"), &faults)
	if err != nil || fmt.Sprint(edges) != "[[a b]]" || faults.Count != 1 {
		t.Errorf("%v, %v, %d faults", err, edges, faults.Count)
	}
	if _, err := petshop.ReadGraph(strings.NewReader("hello\n"), &faults); !errors.Is(err, petshop.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

func TestValuesThatCannotBeRead(t *testing.T) {
	var faults source.Faults
	for _, text := range []string{"", "hello\n", ",a\na,1\n", "microservice,a\nmetric,latency\n", "microservice,a,a\nmetric,x,x\nstatistic,y,y\nunix_timestamp,,\n", "microservice,a,\nmetric,x,\nstatistic,y,\nunix_timestamp,,\n"} {
		if v, err := petshop.ReadValues(strings.NewReader(text), &faults); err == nil {
			t.Errorf("%q gives %+v", text, v)
		}
	}
}

// What is read is, number by number, what an independent reading of the normal period finds.
func TestValuesOfTheDataSet(t *testing.T) {
	want, _ := independent(t)
	f, err := os.Open(shared + "/noissue/metrics.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var faults source.Faults
	v, err := petshop.ReadValues(f, &faults)
	if err != nil || faults.Count != 0 || len(v.Times) != 589 {
		t.Fatalf("%v, %d faults, %d rows", err, faults.Count, len(v.Times))
	}
	medians := 0
	for c, s := range v.Series {
		if len(s) != len(v.Times) {
			t.Errorf("%+v has %d rows", c, len(s))
		}
		if c.Statistic != "p50" {
			continue
		}
		for i, x := range s {
			if p, ok := want[c.Component].p50[v.Times[i]]; ok {
				medians++
				if p != x {
					t.Errorf("%s at %d: %g, want %g", c.Component, v.Times[i], x, p)
				}
			}
		}
	}
	if medians < 10000 {
		t.Errorf("%d medians were compared", medians)
	}
}

func FuzzValues(f *testing.F) {
	f.Add([]byte(head + "1692608400.0,0.1,20\n"))
	f.Add([]byte(",a,b\na,0,1\nb,0,0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var faults source.Faults
		if v, err := petshop.ReadValues(strings.NewReader(string(b)), &faults); err == nil {
			for c, s := range v.Series {
				if len(s) != len(v.Times) {
					t.Fatalf("%+v has %d of %d rows", c, len(s), len(v.Times))
				}
				for _, x := range s {
					if math.IsInf(x, 0) {
						t.Fatal(c, x)
					}
				}
			}
		}
		_, _ = petshop.ReadGraph(strings.NewReader(string(b)), &faults)
	})
}
