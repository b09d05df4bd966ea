package zipkin_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/telemetry/source"
	"foresail.dev/telemetry/zipkin"
)

func readAll(t testing.TB, in string) (spans []foresail.Span, stats source.Stats, faults source.Faults, err error) {
	t.Helper()
	stats, err = zipkin.Read(strings.NewReader(in), &faults, func(s []foresail.Span) error {
		spans = append(spans, s...)
		return nil
	})
	return spans, stats, faults, err
}

func ExampleRead() {
	in := `[{"traceId":"a1","id":"01","kind":"CLIENT","name":"get","timestamp":1700000000000000,"duration":5000,"localEndpoint":{"serviceName":"front"}},
		{"traceId":"a1","id":"01","shared":true,"kind":"SERVER","name":"get","timestamp":1700000000001000,"duration":3000,"localEndpoint":{"serviceName":"back"}},
		{"traceId":"a1","id":"02","parentId":"01","kind":"CLIENT","name":"select","timestamp":1700000000002000,"duration":1000,"localEndpoint":{"serviceName":"back"}}]`
	var faults source.Faults
	_, err := zipkin.Read(strings.NewReader(in), &faults, func(spans []foresail.Span) error {
		for _, s := range spans {
			fmt.Printf("%s %s %v child of %x\n", s.Service, s.Operation, s.End.Sub(s.Start), s.Parent[7:])
		}
		return nil
	})
	fmt.Println(faults.Count, err)
	// Output:
	// front get 5ms child of 00
	// back get 3ms child of 01
	// back select 1ms child of b1
	// 0 <nil>
}

// spansOf draws spans of some traces, as Zipkin's form can hold them.
func spansOf(t *rapid.T) []foresail.Span {
	kinds := []foresail.SpanKind{foresail.KindServer, foresail.KindClient, foresail.KindProducer, foresail.KindConsumer}
	var out []foresail.Span
	for i := range rapid.IntRange(1, 40).Draw(t, "spans") {
		s := foresail.Span{Service: rapid.SampledFrom([]string{"a", "b", "ü \"x\""}).Draw(t, "service"),
			Replica:   rapid.SampledFrom([]string{"", "pod-1"}).Draw(t, "replica"),
			Operation: rapid.StringMatching(`[a-z/ "\\]{0,8}`).Draw(t, "operation"), Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
			Failed: rapid.Bool().Draw(t, "failed")}
		s.Trace[rapid.IntRange(0, 15).Draw(t, "at")] = byte(1 + rapid.IntRange(0, 3).Draw(t, "trace"))
		binary.BigEndian.PutUint64(s.ID[:], uint64(i)+1)
		if i > 0 {
			binary.BigEndian.PutUint64(s.Parent[:], uint64(rapid.IntRange(0, i).Draw(t, "parent")))
		}
		s.Start = time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(t, "start")).UTC()
		s.End = s.Start.Add(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "µs")) * time.Microsecond)
		out = append(out, s)
	}
	return out
}

func sorted(spans []foresail.Span) []foresail.Span {
	slices.SortStableFunc(spans, func(a, b foresail.Span) int {
		return cmp.Or(bytes.Compare(a.Trace[:], b.Trace[:]), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return spans
}

// What is written comes back as it was: as one list, as a list of traces, as lines, and compressed.
func TestSpansComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := spansOf(t)
		list, err := zipkin.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		in := string(list)
		switch rapid.SampledFrom([]string{"list", "traces", "lines", "lists", "gzip"}).Draw(t, "form") {
		case "traces":
			in = "[" + in + "]"
		case "lists":
			in = strings.Replace(in, "},{\"traceId", "}]\n[{\"traceId", 1) + "\n"
		case "lines":
			in = strings.ReplaceAll(strings.Trim(in, "[]"), "},{\"traceId", "}\n{\"traceId")
		case "gzip":
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write(list)
			z.Close()
			in = b.String()
		}
		var got []foresail.Span
		var faults source.Faults
		stats, err := zipkin.Read(strings.NewReader(in), &faults, func(s []foresail.Span) error { got = append(got, s...); return nil })
		if err != nil || faults.Count != 0 || stats.Spans != len(want) {
			t.Fatalf("%v, %v, %+v", err, faults.String(), stats)
		}
		if !reflect.DeepEqual(sorted(got), sorted(want)) {
			t.Fatalf("\n got %+v\nwant %+v", got, want)
		}
	})
}

const good = `{"traceId":"a","id":"b","name":"x","timestamp":1700000000000000,"duration":5,"localEndpoint":{"serviceName":"s","ipv4":"10.0.0.1"}}`

// A span that lacks something costs that span, and is told with its place.
func TestFaults(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for name, c := range map[string]struct{ bad, want string }{
		"trace id":      {with(`"a"`, `"xyz"`), "traceId"},
		"no id":         {with(`"b"`, `""`), "id: it is missing"},
		"id too long":   {with(`"b"`, `"0123456789abcdef0"`), "longer than 16"},
		"no time":       {with("1700000000000000", "0"), "not in microseconds"},
		"text as time":  {with("1700000000000000", `"now"`), "timestamp: a string stands where"},
		"negative":      {with(":5,", ":-5,"), "not a duration"},
		"no service":    {with("serviceName", "name"), "serviceName"},
		"not an object": {"7", "number stands where"},
	} {
		for form, in := range map[string]string{"list": "[" + good + "," + c.bad + "," + good + "]", "lines": good + "\n" + c.bad + "\n" + good} {
			spans, _, faults, err := readAll(t, in)
			if err != nil || len(spans) != 2 || faults.Count != 1 || faults.First[0].Line != 2 || !strings.Contains(faults.First[0].String(), c.want) {
				t.Errorf("%s in %s: %d spans, %v, %v", name, form, len(spans), faults.String(), err)
			}
		}
	}
	if _, _, faults, err := readAll(t, good+"\n{broken\n"+good); err != nil || faults.Count != 1 {
		t.Errorf("a broken line: %v %v", faults.String(), err)
	}
	for _, in := range []string{"[" + good, "[" + good + ",{]", "[1] x", "no JSON"} {
		if _, _, _, err := readAll(t, in); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
	if spans, _, _, err := readAll(t, " \n"); err != nil || len(spans) != 0 {
		t.Errorf("nothing: %v %v", spans, err)
	}
	if spans, _, _, _ := readAll(t, good); spans[0].Replica != "10.0.0.1" || spans[0].Kind != foresail.KindServer {
		t.Errorf("%+v", spans[0])
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("[" + good + "]"))
	f.Add([]byte(good + "\n[" + good + "]\n"))
	f.Add([]byte("[[" + good + "],[]]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		var faults source.Faults
		stats, _ := zipkin.Read(bytes.NewReader(b), &faults, func(spans []foresail.Span) error {
			n += len(spans)
			for i := range spans {
				if s := &spans[i]; s.Service == "" || s.End.Before(s.Start) || s.Kind == foresail.KindUnspecified || s.ID == s.Parent {
					t.Fatalf("%+v", s)
				}
			}
			return nil
		})
		if n != stats.Spans {
			t.Fatalf("%d spans were handed over, %d counted", n, stats.Spans)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	in := "[" + strings.Repeat(good+",", 9999) + good + "]"
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := zipkin.Read(strings.NewReader(in), nil, func([]foresail.Span) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
