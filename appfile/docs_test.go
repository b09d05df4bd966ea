package appfile

import (
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var block = regexp.MustCompile("(?s)```(yaml|text)\n(.*?)```")

// The examples in the documentation are read as they stand, and the faults shown there are the faults told.
func TestDocumentationExamples(t *testing.T) {
	hotel, err := ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, name := range []string{"app.md", "load.md", "faults.md", "nodes.md"} {
		text, err := os.ReadFile("../docs/formats/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			kind, body, _ := strings.Cut(m[2], ":")
			if m[1] == "yaml" && last != nil { // the block before had faults that the page does not show
				t.Errorf("%s: %v", name, last)
			}
			switch {
			case m[1] == "text":
				count["faults"]++
				if want := strings.TrimSpace(m[2]); last == nil || last.Error() != want {
					t.Errorf("%s: the faults are\n%v\nthe page says\n%s", name, last, want)
				}
				last = nil
			case kind == "application":
				count["applications"]++
				_, last = ParseApp("shop.yaml", []byte(m[2]))
			case kind == "load":
				count["loads"]++
				_, last = ParseLoad("load.yaml", []byte(m[2]), hotel.App, func(string) (io.ReadCloser, error) { return os.Open("../examples/loads/levels.txt") })
			case kind == "faults":
				count["schedules"]++
				_, last = ParseFaults("faults.yaml", []byte(m[2]), hotelWorld(t))
			case kind == "nodes":
				count["nodes"]++
				_, last = ParseNodes("nodes.yaml", []byte(m[2]))
			default:
				t.Errorf("%s: what is this? %.60s%.60s", name, kind, body)
			}
		}
		if last != nil {
			t.Errorf("%s: %v", name, last)
		}
	}
	if want := map[string]int{"applications": 2, "loads": 4, "faults": 2, "schedules": 1, "nodes": 2}; !reflect.DeepEqual(count, want) {
		t.Errorf("examples: %v, want %v", count, want)
	}
}

// Every field of the formats has its row, or at least its name in code, in the documentation.
func TestEveryFieldIsDocumented(t *testing.T) {
	for name, types := range map[string][]any{
		"app.md":    {appFile{}, service{}, allocation{}, bounds{}, step{}, call{}, dist{}, endpoint{}, objective{}, overheads{}, interference{}},
		"nodes.md":  {nodesFile{}, machine{}},
		"load.md":   {loadFile{}, segment{}, constant{}, ramp{}, diurnal{}, spike{}, traceSegment{}, bursts{}, flash{}, steps{}, noise{}, mixPoint{}},
		"faults.md": {faultFile{}, fixedFault{}, randomFault{}, hit{}},
	} {
		text, err := os.ReadFile("../docs/formats/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range types {
			for _, f := range fieldsOf(reflect.TypeOf(v)) {
				if !regexp.MustCompile("`[^`\n]*\\b" + f.name + "\\b[^`\n]*`").Match(text) {
					t.Errorf("%s says nothing of %s (%T)", name, f.name, v)
				}
			}
		}
	}
}
