package otlp

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

func ExampleReadLines() {
	in := `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"front"}}]},"scopeSpans":[{"spans":[` +
		`{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"get","kind":2,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000"}]}]}]}` +
		"\n{\"resourceLogs\":[]}\nnot JSON\n"
	var faults source.Faults
	stats, err := ReadLines(strings.NewReader(in), &faults, func(spans []foresail.Span) error {
		fmt.Println(spans[0].Service, spans[0].Operation, spans[0].End.Sub(spans[0].Start))
		return nil
	})
	fmt.Println(stats.Spans, err, faults.Count, "bad line:", faults.First[0].Line)
	// Output:
	// front get 1s
	// 1 <nil> 1 bad line: 3
}

// Any spans come back as they were, whatever stands between the lines, compressed or not.
func TestLinesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b bytes.Buffer
		var want, got []foresail.Span
		bad := 0
		for i := range rapid.IntRange(0, 12).Draw(t, "spans") {
			s := foresail.Span{Service: rapid.SampledFrom([]string{"a", "b", "ü\""}).Draw(t, "service"), Replica: rapid.SampledFrom([]string{"", "r"}).Draw(t, "replica"),
				Operation: rapid.StringMatching(`[a-zü"\\/]{0,6}`).Draw(t, "operation"), Kind: foresail.SpanKind(rapid.IntRange(0, 5).Draw(t, "kind")),
				Failed: rapid.Bool().Draw(t, "failed"), Weight: rapid.SampledFrom([]float64{0, 2, 64}).Draw(t, "weight")}
			binary.BigEndian.PutUint64(s.Trace[:], rapid.Uint64Min(1).Draw(t, "trace"))
			binary.BigEndian.PutUint64(s.ID[:], uint64(i)+1)
			binary.BigEndian.PutUint64(s.Parent[:], rapid.Uint64().Draw(t, "parent"))
			s.Start = time.Unix(0, rapid.Int64Range(1, 1<<62).Draw(t, "start")).UTC()
			s.End = s.Start.Add(time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "took")))
			want = append(want, s)
			if err := WriteJSONLines(&b, []foresail.Span{s}); err != nil {
				t.Fatal(err)
			}
			switch rapid.IntRange(0, 3).Draw(t, "between") {
			case 1:
				b.WriteString("\r\n{}\n")
			case 2:
				b.WriteString("{\"resourceSpans\":[{\n")
				bad++
			}
		}
		in := b.Bytes()
		if rapid.Bool().Draw(t, "gzip") {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			w.Write(in)
			w.Close()
			in = z.Bytes()
		}
		var faults source.Faults
		stats, err := ReadLines(bytes.NewReader(in), &faults, func(s []foresail.Span) error { got = append(got, s...); return nil })
		if err != nil || faults.Count != bad || stats.Spans != len(want) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, %v\n got %+v\nwant %+v", err, faults.String(), got, want)
		}
	})
}

func FuzzReadLines(f *testing.F) {
	f.Add(lines(f, []foresail.Span{{Trace: foresail.TraceID{1}, ID: foresail.SpanID{2}, Service: "web", Start: time.Unix(1, 0), End: time.Unix(2, 0)}}))
	f.Add([]byte("{}\n{\n\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		var faults source.Faults
		stats, _ := ReadLines(bytes.NewReader(b), &faults, func(spans []foresail.Span) error { n += len(spans); return nil })
		if n != stats.Spans || faults.Count > bytes.Count(b, []byte("\n"))+1 {
			t.Fatalf("%d spans, %+v, %d faults", n, stats, faults.Count)
		}
	})
}

func BenchmarkReadLines(b *testing.B) {
	at := time.Unix(0, 1_700_000_000_123_456_789).UTC()
	var group []foresail.Span
	for i := range 25 {
		group = append(group, foresail.Span{Trace: foresail.TraceID{1}, ID: foresail.SpanID{byte(i + 1)}, Parent: foresail.SpanID{byte(i)}, Service: fmt.Sprint("service-", i%9),
			Replica: "pod-1", Operation: "GET /things", Kind: foresail.KindServer, Start: at, End: at.Add(time.Millisecond)})
	}
	in := bytes.Repeat(lines(b, group), 400)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadLines(bytes.NewReader(in), nil, func([]foresail.Span) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*400*25/b.Elapsed().Seconds(), "spans/s")
}
