package nezha_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"foresail.dev/telemetry/nezha"
	"foresail.dev/telemetry/source"
)

// The pods of a service are one: what they use and do adds up, of times the longest counts.
func ExampleValues() {
	var faults source.Faults
	v := nezha.NewValues()
	head := "Time,TimeStamp,PodName,CpuUsage(m),PodServerLatencyP90(s)\n"
	err := v.File("a_metric.csv", strings.NewReader(head+"2022-08-22 03:51:19.6 +0000 UTC m=+0.1,0,cart-579f59597d-wc2lz,50,0.1\n"), &faults)
	err2 := v.File("b_metric.csv", strings.NewReader(head+"2022-08-22 03:51:20.6 +0000 UTC,0,cart-579f59597d-abcde,20,0.3\n"), &faults)
	err3 := v.File("source_50.csv", strings.NewReader("time,timestamp,front_cart\n2022-08-22 03:51:20 +0000 UTC,0,0.4\n"), &faults)
	fmt.Println(err, err2, err3, v.Calls)
	fmt.Println(v.Series[nezha.Column{Service: "cart", Metric: "cpuusage(m)"}], v.Series[nezha.Column{Service: "cart", Metric: "podserverlatencyp90(s)"}])
	fmt.Println(v.Series[nezha.Column{Service: "front", Callee: "cart", Metric: nezha.CallClient}], nezha.Service("cart-579f59597d-abcde"))
	// Output:
	// <nil> <nil> <nil> map[[front cart]:true]
	// map[27685671:70] map[27685671:0.3]
	// map[27685671:0.4] cart
}

func TestValuesThatCannotBeRead(t *testing.T) {
	calls := "time,timestamp,front_cart\n2022-08-22 03:51:20 +0000 UTC,0,0.4\n"
	for name, c := range map[string]struct {
		text   string
		err    string
		faults int
	}{
		"x.csv":              {text: "hello\n", err: "not a file of Nezha's"},
		"latency.csv":        {text: calls, err: "should hold source_50 or destination_50"},
		"trace.csv":          {text: spansHead, err: "PodName"},
		"destination_50.csv": {text: calls + "soon,0,1\n2022-08-22 03:51:20 +0000 UTC,0,what\n", faults: 2},
		"a_metric.csv":       {text: podHead + "soon,0,a,1,1,1,1,1,1,1,1\n2022-08-22 03:51:20 +0000 UTC,0,,1,1,1,1,1,1,1,1\n", faults: 2},
		"dependency.csv":     {text: "Source,Target,Weight\n,b,1\na,b,1\na,10.0.0.1,1\n", faults: 1},
	} {
		var faults source.Faults
		err := nezha.NewValues().File(name, strings.NewReader(c.text), &faults)
		if (err == nil) != (c.err == "") || err != nil && c.err != "PodName" && !strings.Contains(err.Error(), c.err) || faults.Count != c.faults {
			t.Errorf("%s: %v, %d faults, want %q and %d", name, err, faults.Count, c.err, c.faults)
		}
	}
}

func FuzzValues(f *testing.F) {
	f.Add("a_metric.csv", []byte(podHead+"2022-08-22 03:51:19.6 +0000 UTC m=+0.1,1661140279,f,50,16,1000,2000,0.1,0.2,0.3,10\n"))
	f.Add("front_service.csv", []byte(frontHead+"2022-08-22 03:51:19.5 +0000 UTC,1661140279,F,90,0.05,0.1,0.2,0.3\n"))
	f.Add("source_50.csv", []byte("time,timestamp,front_cart\n2022-08-22 03:51:20 +0000 UTC,0,0.4\n"))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		var faults source.Faults
		v := nezha.NewValues()
		_ = v.File(name, strings.NewReader(string(b)), &faults)
		for c, s := range v.Series {
			for m, x := range s {
				if math.IsNaN(x) || !v.Minutes[m] {
					t.Fatal(c, m, x)
				}
			}
		}
	})
}
