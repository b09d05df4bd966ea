package csvfile_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev/model/forecast/csvfile"
)

func ExampleRead() {
	file := "time,calls\n2026-01-01 00:00:00,5\n2026-01-01 00:02:00,7\n2026-01-01 00:01:00,\n2026-01-01 00:04:00,9\n2026-01-01 00:04:00,9\n"
	s, repairs, err := csvfile.Read(strings.NewReader(file), csvfile.Options{})
	fmt.Println(s.Step, s.Values, err)
	fmt.Println(repairs)
	// Output:
	// 1m0s [5 NaN 7 NaN 9] <nil>
	// 1 step has no row, 1 row has no load, 1 row is there twice, 1 row was out of order
}

func read(t *testing.T, file string, o csvfile.Options) (string, csvfile.Repairs, error) {
	t.Helper()
	s, r, err := csvfile.Read(strings.NewReader(file), o)
	if err != nil {
		return "", r, err
	}
	return fmt.Sprintf("%s %v %v", s.Start.UTC().Format("02 15:04:05"), s.Step, s.Values), r, nil
}

func TestWhatIsMended(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	for _, c := range []struct {
		name, file string
		o          csvfile.Options
		want       string
		repairs    csvfile.Repairs
	}{
		{"gaps", "2026-01-01 00:00:00,1\n2026-01-01 00:00:01,2\n2026-01-01 00:00:02,3\n2026-01-01 00:00:05,4\n", csvfile.Options{}, "01 00:00:00 1s [1 2 3 NaN NaN 4]", csvfile.Repairs{Gaps: 2}},
		{"zeros are loads", "t,v\n0,0\n60,0.0\n120,-0\n", csvfile.Options{}, "01 00:00:00 1m0s [0 0 0]", csvfile.Repairs{}},
		{"not observed", "t,v\n0,NaN\n60,\n120,null\n180,4\n", csvfile.Options{}, "01 00:00:00 1m0s [NaN NaN NaN 4]", csvfile.Repairs{Empty: 3}},
		{"the same row twice", "t,v\n0,1\n60,2\n60,2\n120,3\n", csvfile.Options{}, "01 00:00:00 1m0s [1 2 3]", csvfile.Repairs{Duplicates: 1}},
		{"reordered", "t,v\n120,3\n0,1\n60,2\n", csvfile.Options{}, "01 00:00:00 1m0s [1 2 3]", csvfile.Repairs{Reordered: 1}},
		{"off the grid", "t,v\n0,1\n60,2\n120.4,3\n180,4\n240,5\n", csvfile.Options{}, "01 00:00:00 1m0s [1 2 3 4 5]", csvfile.Repairs{Moved: 1}},
		{"no instants", "1\n2\n\n3\n", csvfile.Options{Step: time.Second}, "01 00:00:00 1s [1 2 3]", csvfile.Repairs{}},
		{"another column", "t,a,b\n0,1,7\n60,2,8\n", csvfile.Options{Column: "b"}, "01 00:00:00 1m0s [7 8]", csvfile.Repairs{}},
		{"milliseconds", "1767225600000,1\n1767225660000,2\n", csvfile.Options{}, "01 00:00:00 1m0s [1 2]", csvfile.Repairs{}},
		{"zones in the file", "2026-03-29T01:30:00+01:00,1\n2026-03-29T03:00:00+02:00,2\n2026-03-29T03:30:00+02:00,3\n", csvfile.Options{}, "29 00:30:00 30m0s [1 2 3]", csvfile.Repairs{}},
		{"clocks set forward", "2026-03-29 01:30,1\n2026-03-29 03:00,2\n2026-03-29 03:30,3\n", csvfile.Options{Zone: zurich}, "29 00:30:00 30m0s [1 2 3]", csvfile.Repairs{}},
		{"clocks set back", "2026-10-25 02:00,1\n2026-10-25 02:30,2\n2026-10-25 02:00,3\n2026-10-25 02:30,4\n2026-10-25 03:00,5\n", csvfile.Options{Zone: zurich}, "25 00:00:00 30m0s [1 2 3 4 5]", csvfile.Repairs{}},
		{"clocks set forward, no zone told", "2026-03-29 01:30,1\n2026-03-29 03:00,2\n2026-03-29 03:30,3\n2026-03-29 04:00,4\n", csvfile.Options{}, "29 01:30:00 30m0s [1 NaN NaN 2 3 4]", csvfile.Repairs{Gaps: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, repairs, err := read(t, c.file, c.o)
			if err != nil || got != c.want || repairs != c.repairs {
				t.Errorf("%s, %+v, %v; want %s, %+v", got, repairs, err, c.want, c.repairs)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	for _, c := range []struct {
		name, file string
		o          csvfile.Options
		want       string
	}{
		{"a negative count", "t,v\n0,1\n60,-2\n120,3\n180,-1\n", csvfile.Options{}, "line 3: has the load -2: it must be a number from 0 on, or empty where nothing was observed\nline 5: has the load -1"},
		{"an infinite one", "t,v\n0,1\n60,Inf\n", csvfile.Options{}, "line 3: has the load Inf: it must be a number from 0 on"},
		{"no number", "t,v\n0,1\n60,many\n", csvfile.Options{}, `line 3: has the load "many": it must be a number`},
		{"no instant", "t,v\nyesterday,1\n", csvfile.Options{}, `line 2: has the instant "yesterday": write it like`},
		{"two loads at once", "2026-10-25 02:00,1\n2026-10-25 02:30,2\n2026-10-25 02:00,3\n2026-10-25 03:00,5\n", csvfile.Options{}, "line 3: has the instant of line 1 with another load, 3 and not 1; where clocks were set back, name their zone with --zone"},
		{"a time that was not", "2026-03-29 01:30,1\n2026-03-29 02:30,2\n", csvfile.Options{Zone: zurich}, `line 2: has the instant "2026-03-29 02:30", which there was not in Europe/Zurich: clocks were set forward`},
		{"rows closer than the step", "0,1\n10,2\n60,3\n", csvfile.Options{Step: time.Minute}, "line 2: falls into the same step of 1m0s as line 1"},
		{"an instant far off", "0,1\n1,2\n2,3\n1800000000,4\n", csvfile.Options{}, "are 1800000000 steps of 1s, more than 5000000: is an instant wrong, or the step?"},
		{"a row too short", "t,a,b\n0,1,2\n60,1\n", csvfile.Options{Column: "b"}, "line 3: has 2 cells, the loads are in column 3"},
		{"no such column", "t,a\n0,1\n", csvfile.Options{Column: "b"}, `line 1: has no column "b", but t, a`},
		{"no instants and no step", "1\n2\n", csvfile.Options{}, "its rows have no instants: say how far apart they are with --step"},
		{"one row", "0,1\n", csvfile.Options{}, "it has no two rows with different instants: say how far apart steps are with --step"},
		{"nothing", "", csvfile.Options{}, "it holds no rows"},
		{"no CSV", "t,v\n0,\"1\n", csvfile.Options{}, "is not CSV"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := read(t, c.file, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %s", err, c.want)
			}
		})
	}
}

func TestManyFaultsAreCounted(t *testing.T) {
	_, _, err := read(t, "t,v\n"+strings.Repeat("0,-1\n", 25), csvfile.Options{})
	var f *csvfile.Faults
	if !errors.As(err, &f) || len(f.Faults) != 10 || f.More != 15 {
		t.Error(err)
	}
}

// Whatever the bytes, Read gives a series that methods accept, or an error; faults name lines of the file.
func FuzzRead(f *testing.F) {
	f.Add("t,v\n0,1\n60,\n120,3\n", "", int64(0), "UTC")
	f.Add("2026-10-25 02:00,1\n2026-10-25 02:00,3\n", "", int64(time.Minute), "Europe/Zurich")
	f.Add("t,a,b\n2026-03-29T01:30:00+01:00,1,NaN\n", "b", int64(1), "UTC")
	f.Add("1\n2\n-3\n", "", int64(time.Second), "UTC")
	f.Fuzz(func(t *testing.T, file, column string, step int64, zone string) {
		o := csvfile.Options{Column: column, Step: time.Duration(step)}
		if z, err := time.LoadLocation(zone); err == nil {
			o.Zone = z
		}
		s, _, err := csvfile.Read(strings.NewReader(file), o)
		if err != nil {
			var faults *csvfile.Faults
			if errors.As(err, &faults) {
				for _, x := range faults.Faults {
					if x.Line < 1 || x.Line > strings.Count(file, "\n")+1 || x.Message == "" {
						t.Errorf("%+v", x)
					}
				}
			}
			return
		}
		if len(s.Values) == 0 || s.Step <= 0 {
			t.Fatalf("%d values in steps of %v", len(s.Values), s.Step)
		}
		for _, v := range s.Values {
			if !math.IsNaN(v) && !(v >= 0 && v <= 1e15) {
				t.Fatalf("load %v", v)
			}
		}
	})
}
