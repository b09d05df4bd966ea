package alibaba

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

// Ids in hexadecimal are what the other readers make of them; others differ where their texts do.
func TestTraceIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`(T_)?[0-9a-fA-F]{1,34}`).Draw(t, "id")
		var want foresail.TraceID
		got := traceID([]byte(text))
		if err := source.Hex(want[:], text); err == nil && want != (foresail.TraceID{}) {
			if got != want {
				t.Fatalf("%q is %x, want %x", text, got, want)
			}
			return
		}
		if got == (foresail.TraceID{}) || strings.HasPrefix(text, "T_") && got == traceID([]byte(text+"0")) {
			t.Fatalf("%q is %x", text, got)
		}
	})
}
