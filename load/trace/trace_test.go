package trace_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev/load/trace"
)

func ExampleRead() {
	file := "TIMESTAMP,tokens\n2023-11-16 18:15:46.68,1\n2023-11-16 18:15:46.70,1\n2023-11-16 18:15:47.9,1\n"
	values, step, err := trace.Read(strings.NewReader(file), trace.Arrivals, 500*time.Millisecond)
	fmt.Println(values, step, err)
	// Output: [4 0 2] 500ms <nil>
}

// Whatever the bytes, Read gives finite levels that are not negative, or an error that names a line where one is at fault.
func FuzzRead(f *testing.F) {
	f.Add("1\n2.5\n\n", "lines", int64(0))
	f.Add("period,count\n1998-04-30 21:30:00,60\n1998-04-30 21:31:00,120\n1998-04-30 21:33:00,6\n", "counts", int64(0))
	f.Add("T,a\n2023-11-16 18:15:46.68,1\n2023-11-16 18:15:48.0,1", "arrivals", int64(500*time.Millisecond))
	f.Add("\x1f\x8b\x08", "lines", int64(0))
	f.Fuzz(func(t *testing.T, data, format string, count int64) {
		values, step, err := trace.Read(strings.NewReader(data), trace.Format(format), time.Duration(max(count, int64(time.Millisecond))))
		if err != nil {
			var line *trace.LineError
			if errors.As(err, &line) && (line.Line < 1 || line.Message == "" || values != nil) {
				t.Errorf("%+v with %d levels", line, len(values))
			}
			return
		}
		if len(values) == 0 || step <= 0 {
			t.Fatalf("%d levels of %s", len(values), step)
		}
		for _, v := range values {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Fatalf("level %v", v)
			}
		}
	})
}
