package stream_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"foresail.dev/model/latency/stream"
)

func Example() {
	lines := `{"stream_uri": "front:0.90", "type": "continuous", "seq_num": 1, "val": 0.12}
{"stream_uri": "front:cpu", "type": "continuous", "seq_num": 1, "val": 2}
{"stream_uri": "store:engine", "type": "choices", "seq_num": 1, "val": "redis"}
{"stream_uri": "store:engine", "type": "choices", "seq_num": 2, "val": "memcached"}
{"stream_uri": "front:cpu", "type": "continuous", "seq_num": 2, "val": 1.5}
{"stream_uri": "front:cpu", "type": "continuous", "seq_num": 2, "val": 1.5}
{"stream_uri": "front:0.90", "type": "continuous", "seq_num": 2, "val": "slow"}
{"stream_uri": "front:0.90", "type": "continuous", "seq_num": 2, "val": 0.2}
`
	j := stream.New(stream.Config{})
	report, err := stream.Read(strings.NewReader(lines), j)
	if err != nil {
		panic(err)
	}
	t, seqs, _, err := j.Table(nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(t.Names(), seqs)
	for _, f := range report.Faults {
		fmt.Println(f)
	}
	// Output:
	// [front:0.90 front:cpu store:engine=memcached store:engine=redis] [1 2]
	// line 6: its row has a value of this stream already: row 2 of front:cpu
	// line 7: malformed: val is "\"slow\"", and the type is continuous
}

func TestMalformedLines(t *testing.T) {
	for line, want := range map[string]string{
		`{`:  "no JSON object",
		`[]`: "no JSON object",
		`{"stream_uri":"a:b","type":"continuous","seq_num":1,"val":2} x`: "something follows",
		`{"stream_uri":"a:b"}`: "lacks type, seq_num, val",
		`{"stream_uri":"ab","type":"continuous","seq_num":1,"val":2}`:                                 "a colon",
		`{"stream_uri":":b","type":"continuous","seq_num":1,"val":2}`:                                 "a colon",
		`{"stream_uri":"a:b","type":"float","seq_num":1,"val":2}`:                                     "continuous, discrete or choices",
		`{"stream_uri":"a:b","type":"discrete","seq_num":1,"val":2.5}`:                                "whole number",
		`{"stream_uri":"a:b","type":"continuous","seq_num":1.5,"val":2}`:                              "seq_num",
		`{"stream_uri":"a:b","type":"continuous","seq_num":99999999999999999999,"val":2}`:             "seq_num",
		`{"stream_uri":"a:b","type":"continuous","seq_num":1,"val":1e999}`:                            "val is",
		`{"stream_uri":"a:b","type":"continuous","seq_num":1,"val":1e200}`:                            "no number to learn from",
		`{"stream_uri":"a:b","type":"continuous","seq_num":1,"val":null}`:                             "lacks val",
		`{"stream_uri":"a:b","type":"choices","seq_num":1,"val":3}`:                                   "type is choices",
		`{"stream_uri":"a:b","type":"choices","seq_num":1,"val":""}`:                                  "a choice has",
		`{"stream_uri":"` + strings.Repeat("a", 600) + `:b","type":"continuous","seq_num":1,"val":2}`: "bytes at most",
	} {
		if _, err := stream.Parse([]byte(line)); !errors.Is(err, stream.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, should say %s", line, err, want)
		}
	}
}

func number(label string, seq int64, v float64) stream.Value {
	return stream.Value{Label: label, Seq: seq, Number: v}
}

// Each way in which a value can't be taken is told, counted, and changes nothing.
func TestWhatIsRefusedIsCounted(t *testing.T) {
	j := stream.New(stream.Config{Open: 2, Streams: 3, Choices: map[string][]string{"a:mode": {"on", "off"}}})
	must := func(v stream.Value) {
		t.Helper()
		if err := j.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	not := func(v stream.Value, want error) {
		t.Helper()
		if err := j.Add(v); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	must(number("a:x", 2, 1))
	must(number("a:x", 1, 1)) // in disorder
	must(number("a:y", 2, 5))
	not(number("a:x", 2, 1), stream.ErrDuplicate)
	not(number("a:x", 2, 3), stream.ErrDuplicate)
	must(number("a:x", 3, 1)) // closes row 1
	not(number("a:y", 1, 5), stream.ErrLate)
	not(stream.Value{Label: "a:x", Kind: stream.Discrete, Seq: 4, Number: 1}, stream.ErrKind)
	must(stream.Value{Label: "a:mode", Kind: stream.Choices, Seq: 3, Choice: "on"})
	not(stream.Value{Label: "a:mode", Kind: stream.Choices, Seq: 2, Choice: "auto"}, stream.ErrChoice)
	not(number("b:x", 3, 1), stream.ErrStreams)
	not(number("a:x", 3, math.NaN()), stream.ErrMalformed)
	j.Flush()
	r := j.Report()
	if r.Taken != 5 || r.Disorderly != 1 || r.Duplicate != 2 || r.Differing != 1 || r.Late != 1 || r.Kind != 1 || r.Choice != 1 || r.Refused != 1 || r.Rows != 3 {
		t.Errorf("%+v", r)
	}
	table, seqs, lacking, err := j.Table([]string{"a:x", "a:y"})
	if err != nil || table.Rows() != 1 || seqs[0] != 2 || lacking != 2 {
		t.Error(table, seqs, lacking, err)
	}
	if _, _, _, err := j.Table([]string{"a:x", "z:x"}); err == nil || !strings.Contains(err.Error(), "z:x") {
		t.Error(err)
	}
}

// A stream that stops is named, with where; what is learned from the others goes on. One that goes on with gaps has not stopped.
func TestStreamsThatStop(t *testing.T) {
	j := stream.New(stream.Config{Stop: 5})
	for seq := range int64(30) {
		for label, ok := range map[string]bool{"a:x": true, "a:y": seq < 20, "a:z": seq%4 == 0} {
			if ok {
				if err := j.Add(number(label, seq, 1)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	j.Flush()
	if got := j.Stopped(); len(got) != 1 || got[0] != (stream.Stopped{Label: "a:y", After: 19, Rows: 10}) {
		t.Error(got)
	}
	table, _, lacking, err := j.Table(nil)
	if err != nil || table.Has("a:y") || table.Rows() != 8 || lacking != 22 {
		t.Error(table.Names(), table.Rows(), lacking, err)
	}
}

// Whatever comes, no more is kept than Config allows, and what goes is counted.
func TestMemoryIsBounded(t *testing.T) {
	j := stream.New(stream.Config{Open: 50, Rows: 100, Cells: 400})
	for seq := range int64(10_000) {
		for _, label := range []string{"a:x", "a:y"} {
			if err := j.Add(number(label, seq, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	j.Flush()
	if r := j.Report(); r.Rows != 100 || r.Gone != 9900 {
		t.Errorf("%+v", r)
	}
	// One value of the last of many streams takes as much room as there are streams.
	j = stream.New(stream.Config{Cells: 1000})
	for i := range 100 {
		if err := j.Add(number(fmt.Sprintf("a:%d", i), 0, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for seq := range int64(500) {
		if err := j.Add(number("a:99", seq+1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if r := j.Report(); r.Rows != 10 || r.Gone+r.Rows > 501 || r.Gone == 0 {
		t.Errorf("%+v", r)
	}
}

// A table is what a stupid join of all values gives, in whatever order they come within what may be open.
func TestJoinedAsByHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		labels := []string{"a:x", "a:y", "b:x"}
		type key struct {
			label string
			seq   int64
		}
		first := map[key]float64{}
		j := stream.New(stream.Config{Stop: 1000})
		for range rapid.IntRange(0, 60).Draw(t, "values") {
			k := key{rapid.SampledFrom(labels).Draw(t, "label"), rapid.Int64Range(-5, 10).Draw(t, "seq")}
			v := rapid.Float64Range(0, 3).Draw(t, "v")
			err := j.Add(number(k.label, k.seq, v))
			if _, twice := first[k]; twice != errors.Is(err, stream.ErrDuplicate) || !twice && err != nil {
				t.Fatal(err, twice)
			}
			if _, ok := first[k]; !ok {
				first[k] = v
			}
		}
		j.Flush()
		asked := slices.DeleteFunc(slices.Clone(labels), func(l string) bool { return !slices.Contains(j.Labels(), l) })
		table, seqs, lacking, err := j.Table(asked)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for seq := int64(-5); seq <= 10; seq++ {
			have, whole := 0, true
			for _, l := range asked {
				if _, ok := first[key{l, seq}]; ok {
					have++
				} else {
					whole = false
				}
			}
			if have == 0 {
				continue
			}
			if !whole {
				lacking--
				continue
			}
			for _, l := range asked {
				if col, _ := table.Column(l); col[rows] != first[key{l, seq}] || seqs[rows] != seq {
					t.Fatal(seq, l, col, seqs)
				}
			}
			rows++
		}
		if rows != table.Rows() || lacking != 0 {
			t.Fatal(rows, table.Rows(), lacking)
		}
	})
}

func TestReading(t *testing.T) {
	good := `{"stream_uri":"a:b","type":"discrete","seq_num":%d,"val":%d}` + "\n"
	text := fmt.Sprintf(good, 1, 1) + "\n" + strings.Repeat("x", 200_000) + "\nnonsense\n" + fmt.Sprintf(good, 2, 2) + strings.TrimSpace(fmt.Sprintf(good, 3, 3))
	j := stream.New(stream.Config{})
	r, err := stream.Read(iotest.OneByteReader(strings.NewReader(text)), j)
	if err != nil || r.Lines != 6 || r.Malformed != 2 || r.Taken != 3 || r.Rows != 3 || len(r.Faults) != 2 || !strings.HasPrefix(r.Faults[1], "line 4: ") {
		t.Errorf("%v %+v", err, r)
	}
	broken := io.MultiReader(strings.NewReader(fmt.Sprintf(good, 1, 1)), iotest.ErrReader(io.ErrClosedPipe))
	if r, err := stream.Read(broken, stream.New(stream.Config{})); !errors.Is(err, io.ErrClosedPipe) || r.Rows != 1 {
		t.Errorf("%v %+v", err, r)
	}
}

// Whatever is read, each line is accounted for, and a table has what was taken.
func FuzzRead(f *testing.F) {
	f.Add("{\"stream_uri\":\"a:b\",\"type\":\"discrete\",\"seq_num\":1,\"val\":1}\n{\"stream_uri\":\"a:c\",\"type\":\"choices\",\"seq_num\":1,\"val\":\"x\"}\n")
	f.Add("{\"stream_uri\":\"a:b\",\"type\":\"continuous\",\"seq_num\":-1,\"val\":1e3}\n\nx")
	f.Fuzz(func(t *testing.T, text string) {
		j := stream.New(stream.Config{Open: 3, Rows: 10, Streams: 4, Cells: 20})
		r, err := stream.Read(strings.NewReader(text), j)
		if err != nil {
			t.Fatal(err)
		}
		if r.Rows > 10 || r.Streams > 4 || r.Taken+r.Late+r.Duplicate+r.Kind+r.Choice+r.Refused+r.Malformed > r.Lines {
			t.Fatalf("%+v", r)
		}
		table, seqs, lacking, err := j.Table(nil)
		if err != nil || len(seqs)+lacking != r.Rows || len(table.Names()) > 0 && table.Rows() != len(seqs) {
			t.Fatal(err, table, seqs, lacking, r.Rows)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	labels := make([]string, 200)
	for i := range labels {
		labels[i] = fmt.Sprintf("service%d:0.90", i)
	}
	j := stream.New(stream.Config{})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := j.Add(number(labels[n%len(labels)], int64(n/len(labels)), 1)); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

func BenchmarkParse(b *testing.B) {
	line := []byte(`{"stream_uri": "frontend:0.90", "type": "continuous", "seq_num": 1700000000, "val": 0.12}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := stream.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}
