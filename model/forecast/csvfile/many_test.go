package csvfile_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/model/forecast/csvfile"
)

func TestAFileOfManySeries(t *testing.T) {
	wide := "time,web,cart\n2026-01-01 00:00,10,1\n2026-01-01 00:01,11,\n2026-01-01 00:02,12,3\n"
	long := "time,service,calls\n2026-01-01 00:00,web,10\n2026-01-01 00:00,cart,1\n2026-01-01 00:01,web,11\n2026-01-01 00:01,cart,NaN\n2026-01-01 00:02,cart,3\n2026-01-01 00:02,web,12\n"
	for name, text := range map[string]string{"a column each": wide, "a row each": long} {
		all, err := csvfile.ReadMany(strings.NewReader(text), csvfile.Options{})
		if err != nil || len(all) != 2 {
			t.Fatal(name, all, err)
		}
		got := ""
		for _, s := range all {
			got += fmt.Sprint(s.Name, s.Series.Values, s.Series.Step, s.Repairs, s.Err, ";")
		}
		if want := "cart[1 NaN 3] 1m0s 1 row has no load <nil>;web[10 11 12] 1m0s  <nil>;"; got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// What is wrong with one is told with it, and the others are read.
func TestOneBadSeriesOfMany(t *testing.T) {
	all, err := csvfile.ReadMany(strings.NewReader("time,web,cart\n1700000000,10,-1\n1700000060,11,x\n"), csvfile.Options{})
	if err != nil || len(all) != 2 || all[1].Err != nil || all[0].Err == nil {
		t.Fatal(all, err)
	}
	if got := all[0].Err.Error(); !strings.Contains(got, "line 2: has the load -1") || !strings.Contains(got, `line 3: has the load "x"`) {
		t.Error(got)
	}
}

func TestFilesThatAreNotOfManySeries(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "no rows",
		"time,web\n":                   "no rows",
		"5\n6\n":                       "line 1: has one cell",
		"2026-01-01,5\n2026-01-02,6\n": "line 1: has \"5\" where a service's name should stand",
		"time,a,a\n2026-01-01,1,2\n":   "line 1: has two columns \"a\"",
		"time,a,\n2026-01-01,1,2\n":    "line 1: names no service in column 3",
		"time,a,b\n2026-01-01,1\n":     "line 2: has 2 cells, the heading has 3",
		"time,a\nyesterday,1\n":        "line 2: has the instant",
		"time,service,a,b\nx,y,1,2\n":  "say with --column",
		"service,time,a\nx,y,1\n":      "services first",
	} {
		if _, err := csvfile.ReadMany(strings.NewReader(text), csvfile.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := csvfile.ReadMany(strings.NewReader("time,a\n2026-01-01,1\n"), csvfile.Options{Column: "b"}); err == nil || !strings.Contains(err.Error(), `no column "b"`) {
		t.Error(err)
	}
}

// A series among many is read as it is alone.
func TestManyAreReadAsEachAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "services")
		cell := rapid.SampledFrom([]string{"0", "1", "2.5", "", "NaN", "1e3"})
		text, alone := "time", make([]string, n)
		for i := range n {
			text += fmt.Sprintf(",s%d", i)
			alone[i] = "time,load\n"
		}
		at := 1_700_000_000
		for range rapid.IntRange(2, 12).Draw(t, "rows") {
			at += rapid.SampledFrom([]int{60, 60, 60, 120, -60, 180, 0}).Draw(t, "step")
			text += fmt.Sprintf("\n%d", at)
			for i := range n {
				c := cell.Draw(t, "cell")
				text += "," + c
				alone[i] += fmt.Sprintf("%d,%s\n", at, c)
			}
		}
		all, err := csvfile.ReadMany(strings.NewReader(text+"\n"), csvfile.Options{})
		if err != nil || len(all) != n {
			t.Fatal(all, err)
		}
		for i, got := range all {
			want, repairs, err := csvfile.Read(strings.NewReader(alone[i]), csvfile.Options{})
			if (err == nil) != (got.Err == nil) {
				t.Fatalf("s%d: %v, alone %v", i, got.Err, err)
			}
			if err == nil && (fmt.Sprint(got.Series) != fmt.Sprint(want) || !reflect.DeepEqual(got.Repairs, repairs)) {
				t.Fatalf("s%d: %v %v, alone %v %v", i, got.Series, got.Repairs, want, repairs)
			}
		}
	})
}

// go test -fuzz FuzzReadMany -fuzztime 10s ./model/forecast/csvfile
func FuzzReadMany(f *testing.F) {
	f.Add("time,web,cart\n2026-01-01 00:00,10,1\n2026-01-01 00:01,11,\n")
	f.Add("time,service,calls\n1,web,10\n1,cart,1\n2,web,11\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := csvfile.ReadMany(strings.NewReader(text), csvfile.Options{})
		if err != nil {
			return
		}
		for _, s := range all {
			if s.Err == nil && s.Series.Observed() > 0 && s.Series.Check() != nil {
				t.Fatal(s.Series.Check())
			}
		}
	})
}
