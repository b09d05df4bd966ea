package csvfile_test

import (
	"bytes"
	"compress/gzip"
	"math"
	"strings"
	"testing"

	"foresail.dev/model/callgraph/shares/csvfile"
)

const good = "segment,step,requests,search,order\na,0,100,0.25,0.75\na,1,120,0.5,0.5\nb,0,7,1,0\n"

func TestRead(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(good))
	z.Close()
	for _, text := range []string{good, packed.String()} {
		all, notes, err := csvfile.Read(strings.NewReader(text))
		if err != nil || len(notes) != 0 || len(all) != 2 {
			t.Fatalf("%v, %q, %v", all, notes, err)
		}
		if a := all[0]; a.Name != "a" || len(a.Rows) != 2 || a.Rows[0][1] != 0.75 || a.Counted(1) != 120 || all[1].Name != "b" {
			t.Errorf("%+v", all)
		}
	}
}

func TestSharesThatNearlySumToOneAreNoted(t *testing.T) {
	all, notes, err := csvfile.Read(strings.NewReader("segment,step,p,q\n0,0,0.5,0.49\n0,1,0.5,0.5\n"))
	if err != nil || len(notes) != 1 || notes[0] != "1 rows were scaled, the first: line 2: shares sum to 0.99 and were scaled to 1" || all[0].Requests != nil {
		t.Errorf("%v, %q, %v", all, notes, err)
	}
}

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	for text, wants := range map[string][]string{
		"":                   {"it is empty"},
		"segment,step\n":     {"line 1: needs the columns segment and step, and one for each call graph"},
		"segment,step,p,p\n": {`line 1: there are two columns "p"`},
		"segment,step,p\n":   {"it has a head and no rows"},
		"segment,step,p,q\na,0,0.5,0.2\na,2,0.5,0.5\na,2,x,1\nb,0,1\na,3,1,0\n": {
			"line 2: they are no shares: they sum to 0.7", `line 3: step "2" of segment "a": step 1 comes next`, `line 4: p is "x"`, "line 5: has 3 cells, the head 4"},
		"segment,step,p\na,0,1\nb,0,1\na,1,1\n": {`line 4: segment "a" goes on after another began`},
		"segment,step,requests,p\na,0,-4,1\n":   {`line 2: requests "-4"`},
	} {
		_, _, err := csvfile.Read(strings.NewReader(text))
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", text, err, want)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("segment,step,p\na,0,1e308\n"))
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		all, _, err := csvfile.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, s := range all {
			if err := s.Check(); err != nil {
				t.Error(err)
			}
			for _, row := range s.Rows {
				sum := 0.0
				for _, v := range row {
					sum += v
				}
				if math.Abs(sum-1) > 1e-9 {
					t.Errorf("%v sum to %v", row, sum)
				}
			}
		}
	})
}
