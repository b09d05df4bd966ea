package appfile_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev/appfile"
)

// server is a configuration with every type that Decode reads.
type server struct {
	Name    string                        `yaml:"name" rule:"required"`
	Mode    string                        `yaml:"mode" rule:"oneof=observe|auto"`
	Every   time.Duration                 `yaml:"every" rule:"above=0s,max=1h"`
	Memory  appfile.Bytes                 `yaml:"memory" rule:"min=1MiB"`
	Margin  appfile.Share                 `yaml:"margin"`
	Ratio   float64                       `yaml:"ratio" rule:"min=0,max=1"`
	Count   uint8                         `yaml:"count"`
	On      bool                          `yaml:"on"`
	Limits  *limits                       `yaml:"limits"`
	Seeds   []int64                       `yaml:"seeds" rule:"min=1"`
	Labels  map[string]string             `yaml:"labels"`
	Parts   appfile.OrderedMap[limits]    `yaml:"parts"`
	Since   time.Time                     `yaml:"since"`
	Options any                           `yaml:"options"`
	Pauses  map[string]time.Duration      `yaml:"pauses"`
	Nested  map[string]map[string]float64 `yaml:"nested"`
	common
	secret string
	Plain  string // without a tag: not read
}

type common struct {
	Seed int64 `yaml:"seed"`
}

type limits struct {
	Low  int `yaml:"low" rule:"required"`
	High int `yaml:"high"`
}

// Check keeps the ends in order.
func (l *limits) Check(at appfile.Place) {
	if l.High < l.Low {
		at.At("high").Faultf("is %d, under low on line %d", l.High, at.At("low").Line())
	}
}

func TestDecode(t *testing.T) {
	got := server{Mode: "observe", Every: time.Second}
	err := appfile.Decode("c.yaml", []byte(`name: a
memory: 1.5GiB
margin: 12.5%
ratio: 1e-3
count: 255
on: true
limits: {low: 1, high: 2}
seeds: [1, 2]
labels: {"404": b}
parts: {z: {low: 1, high: 1}, a: {low: -3}}
since: 2026-01-02T03:04:05Z
options: {deep: [1, x]}
pauses: {a: 1d12h}
nested: {a: {b: 2}}
seed: -7
`), &got)
	if err != nil {
		t.Fatal(err)
	}
	want := server{Name: "a", Mode: "observe", Every: time.Second, Memory: 3 << 29, Margin: .125, Ratio: .001, Count: 255, On: true,
		Limits: &limits{1, 2}, Seeds: []int64{1, 2}, Labels: map[string]string{"404": "b"},
		Parts: appfile.OrderedMap[limits]{{Key: "z", Value: limits{1, 1}}, {Key: "a", Value: limits{-3, 0}}},
		Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Options: map[string]any{"deep": []any{1, "x"}},
		Pauses: map[string]time.Duration{"a": 36 * time.Hour}, Nested: map[string]map[string]float64{"a": {"b": 2}}, common: common{Seed: -7}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Parts.Get("a").Low != -3 || got.Parts.Get("b") != nil || fmt.Sprint(got.Parts.Keys()) != "[z a]" {
		t.Errorf("parts: %v", got.Parts)
	}
}

func TestDecodeFaults(t *testing.T) {
	err := appfile.Decode("c.yaml", []byte(`mode: atuo
every: 0s
memory: 1KiB
margin: 101%
ratio: 1.1
count: 256
on: on
limits: {low: 3, high: 2}
seeds: [0, 1, x]
labels: [a]
parts: {a: {}}
since: yesterday
pauses: {a: -1s}
nested: {a: {b: c}}
secret: s
Plain: s
seed: 1.0
`), &server{secret: ""})
	want := `c.yaml:1:1: name: is missing
c.yaml:1:7: mode: is "atuo", must be one of observe, auto
c.yaml:2:8: every: is 0s, must be above 0s
c.yaml:3:9: memory: is 1KiB, must be at least 1MiB
c.yaml:4:9: margin: is 101%, must lie within 0..1
c.yaml:5:8: ratio: is 1.1, must be at most 1
c.yaml:6:8: count: is 256, out of range
c.yaml:7:5: on: is "on", must be true or false
c.yaml:8:24: limits.high: is 2, under low on line 8
c.yaml:9:9: seeds[0]: is 0, must be at least 1
c.yaml:9:15: seeds[2]: "x" is not a whole number
c.yaml:10:1: labels: is a list, must be a mapping
c.yaml:11:9: parts.a.low: is missing
c.yaml:12:8: since: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"
c.yaml:13:13: pauses.a: is -1s, a duration must not be negative
c.yaml:14:17: nested.a.b: "c" is not a finite decimal number
c.yaml:15:1: secret: is not a known field; known: count, every, labels, limits, margin, memory, mode, name, nested, on, options, parts, pauses, ratio, seed, seeds, since
c.yaml:16:1: Plain: is not a known field; known: count, every, labels, limits, margin, memory, mode, name, nested, on, options, parts, pauses, ratio, seed, seeds, since
c.yaml:17:7: seed: "1.0" is not a whole number`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// A file of nothing but faults does not flood the terminal.
func TestManyFaultsAreCounted(t *testing.T) {
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, "x%d: 1\n", i)
	}
	err := appfile.Decode("c.yaml", []byte(text.String()), &limits{})
	faults, ok := err.(appfile.Faults)
	if !ok || len(faults) != 501 || faults[500].Message != "and 1501 more faults that are not listed" {
		t.Errorf("%d faults, the last: %v", len(faults), faults[len(faults)-1])
	}
	if err := appfile.Decode("c.yaml", []byte("a: "+strings.Repeat("x", 17<<20)), &limits{}); err == nil ||
		err.Error() != "c.yaml:1:1: is longer than 16777216 bytes" {
		t.Errorf("got %.100v", err)
	}
}

// Aliases that would grow a thousand million times are refused before anything grows.
func TestBillionLaughs(t *testing.T) {
	text := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		text += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 8), c-1)
	}
	start := time.Now()
	_, err := appfile.ParseApp("laughs.yaml", []byte(text))
	if err == nil || !strings.HasPrefix(err.Error(), "laughs.yaml:1:4: a: anchors (&a) are not read") {
		t.Errorf("got %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %s", d)
	}
}

func ExampleDecode() {
	var config struct {
		Every   time.Duration `yaml:"every" rule:"required,max=1h"`
		Manager string        `yaml:"manager" rule:"oneof=static|hpa"`
	}
	err := appfile.Decode("foresail.yaml", []byte("every: 15\nmanger: hpa\n"), &config)
	fmt.Println(err)
	// Output:
	// foresail.yaml:1:8: every: "15" has no unit; write it like 15ms or 15s
	// foresail.yaml:2:1: manger: is not a known field; did you mean "manager"?
}

func ExampleReadApp() {
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(len(bp.App.Services), "services")
	for _, e := range bp.App.Endpoints {
		fmt.Printf("%s enters at %s: %s\n", e.Name, bp.App.Services[e.Entry].Name, e.Objective)
	}
	// Output:
	// 15 services
	// search enters at frontend: p99 < 200ms
	// recommend enters at frontend: p99 < 200ms
	// user enters at frontend: p99 < 200ms
	// reserve enters at frontend: p99 < 200ms
}

// either may be written as its name alone, or as a mapping.
type either struct {
	Name  string `yaml:"name" rule:"required"`
	Count int    `yaml:"count"`
}

func (e *either) UnmarshalText(b []byte) error {
	e.Name = string(b)
	return nil
}

func TestAStructMayBeOneValueOrAMapping(t *testing.T) {
	var got struct {
		All []either `yaml:"all"`
	}
	if err := appfile.Decode("c.yaml", []byte("all: [a, {name: b, count: 2}]"), &got); err != nil {
		t.Fatal(err)
	}
	if want := []either{{"a", 0}, {"b", 2}}; !reflect.DeepEqual(got.All, want) {
		t.Errorf("got %v, want %v", got.All, want)
	}
	err := appfile.Decode("c.yaml", []byte("all: [{count: 2}]"), &got)
	if err == nil || err.Error() != "c.yaml:1:7: all[0].name: is missing" {
		t.Errorf("got %v", err)
	}
}
