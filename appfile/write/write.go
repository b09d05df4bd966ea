// Package write writes application files: what appfile reads, the other way round.
package write

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"go.yaml.in/yaml/v3"
)

// About is what an application file says of itself beside the blueprint.
type About struct {
	Comment string   // the lines on top, without their #
	Sources []string // where the structure and the numbers come from
	Assumed bool     // that no source speaks of any of it
	Note    string
}

// App writes a blueprint as an application file. appfile.ParseApp reads it back as it was, but for what a file cannot say:
// demands are rounded to a nanosecond, a lognormal demand that does not vary becomes a constant, a ColdFactor of 0 its
// meaning 1, and the application's generation is left out. A blueprint that it would refuse is not written: the
// error is then appfile.Faults with the lines of the file that would have been.
func App(w io.Writer, bp *foresail.Blueprint, about About) error {
	data, err := Marshal(bp, about)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Marshal is the file that App writes. It panics when a slice of the blueprint that is indexed by services or endpoints has
// another length than the application's, or when a target is not there.
func Marshal(bp *foresail.Blueprint, about About) ([]byte, error) {
	w := appWriter{bp}
	root := mapping()
	root.HeadComment = about.Comment
	root.add("application", text(bp.App.Name))
	if len(about.Sources) > 0 {
		root.add("sources", texts(about.Sources))
	}
	if about.Assumed {
		root.add("assumed", plainText("true"))
	}
	if about.Note != "" {
		root.add("note", text(about.Note))
	}
	layers := make([]traitTexts, len(bp.Services))
	for i := range bp.Services {
		layers[i] = w.traits(i)
	}
	defaults := common(layers)
	root.addUnlessEmpty("defaults", defaults.node())
	services, endpoints, objectives := mapping(), mapping(), mapping()
	for i := range bp.Services {
		services.add(bp.App.Services[i].Name, w.service(i, layers[i], defaults))
	}
	root.add("services", services)
	for i, e := range bp.App.Endpoints {
		n := mapping()
		n.add("entry", w.target(bp.Entries[i]))
		p := bp.Timeouts[i]
		n.addPatience(p, foresail.Patience{})
		endpoints.add(e.Name, n)
		if e.Objective != nil {
			objectives.add(e.Name, objectiveNode(e.Objective))
		}
	}
	root.add("endpoints", endpoints)
	root.addUnlessEmpty("objectives", objectives)
	root.addUnlessEmpty("overheads", w.overhead())
	if len(bp.Cycles) > 0 {
		n := sequence()
		for _, ring := range bp.Cycles {
			var names []string
			for _, id := range ring {
				names = append(names, bp.App.Services[id].Name)
			}
			n.Content = append(n.Content, texts(names).Node)
		}
		root.add("cycles", n)
	}
	for i := 1; i < len(root.Content); i += 2 { // each section's entries begin their own lines
		for _, n := range root.Content[i].Content {
			compact(n)
		}
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root.Node); err != nil {
		return nil, fmt.Errorf("application %s cannot be written: %w", bp.App.Name, err)
	}
	if _, err := appfile.ParseApp(bp.App.Name+".yaml", out.Bytes()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

type appWriter struct{ bp *foresail.Blueprint }

// service is what a service adds to the defaults, and its operations.
func (w appWriter) service(i int, own, defaults traitTexts) ynode {
	n := own.without(defaults).node()
	s := &w.bp.App.Services[i]
	if len(s.Initial.Settings) > 0 {
		values, ranges := mapping(), mapping()
		for _, k := range slices.Sorted(maps.Keys(s.Initial.Settings)) {
			values.add(k, plainText(number(s.Initial.Settings[k])))
		}
		for _, k := range slices.Sorted(maps.Keys(s.Bounds.Settings)) {
			r := s.Bounds.Settings[k]
			ranges.add(k, plainText(span(number(r.Min), number(r.Max))))
		}
		n.at("initial").add("settings", values)
		n.at("bounds").add("settings", ranges)
	}
	usual, ops := own.patience, mapping()
	for _, op := range w.bp.Services[i].Operations {
		ops.add(op.Name, w.operation(op, own, usual))
	}
	n.add("operations", ops)
	return n
}

func (w appWriter) operation(op foresail.Operation, own traitTexts, usual foresail.Patience) ynode {
	var n ynode
	if len(op.Steps) == 1 {
		n = w.step(op.Steps[0], usual)
	} else {
		n = mapping()
		n.add("steps", w.steps(op.Steps, usual))
	}
	for _, m := range []struct {
		key   string
		bytes int64
	}{{"request", op.Request}, {"response", op.Response}} {
		if m.bytes > 0 && size(m.bytes) != own.texts[m.key] {
			n.add(m.key, plainText(size(m.bytes)))
		}
	}
	if len(n.Content) == 2 && n.Content[0].Value == "cpu" && n.Content[1].Kind == yaml.ScalarNode {
		return ynode{n.Content[1]}
	}
	return n
}

func (w appWriter) steps(steps []foresail.Step, usual foresail.Patience) ynode {
	list := sequence()
	for _, s := range steps {
		n := w.step(s, usual)
		if len(n.Content) == 2 && n.Content[0].Value == "calls" && len(n.Content[1].Content) == 1 && n.Content[1].Content[0].Kind == yaml.ScalarNode {
			n = ynode{n.Content[1].Content[0]} // a step that makes one plain call
		}
		list.Content = append(list.Content, n.Node)
	}
	return list
}

func (w appWriter) step(s foresail.Step, usual foresail.Patience) ynode {
	n := mapping()
	if s.Work.CPU.Mean > 0 {
		n.add("cpu", distNode(s.Work.CPU))
	}
	if s.Work.IO.Mean > 0 {
		n.add("io", distNode(s.Work.IO))
	} else if s.Work.Read > 0 || s.Work.Write > 0 {
		n.add("io", plainText("0s"))
	}
	for _, m := range []struct {
		key   string
		bytes int64
	}{{"memory", s.Work.Memory}, {"read", s.Work.Read}, {"write", s.Work.Write}} {
		if m.bytes > 0 {
			n.add(m.key, plainText(size(m.bytes)))
		}
	}
	if len(s.Calls) > 0 {
		calls := sequence()
		for i := range s.Calls {
			c := w.call(&s.Calls[i], usual)
			calls.Content = append(calls.Content, c.Node)
		}
		n.add("calls", calls)
	}
	if len(n.Content) == 0 {
		n.add("cpu", plainText("0s")) // a step that does nothing says so
	}
	return n
}

func (w appWriter) call(c *foresail.Call, usual foresail.Patience) ynode {
	n := mapping()
	n.add("to", w.target(c.Target))
	if c.Probability != 1 {
		n.add("probability", plainText(number(c.Probability)))
	}
	if c.Repeat > 1 {
		n.add("repeat", plainText(strconv.Itoa(c.Repeat)))
	}
	if c.Async {
		n.add("async", plainText("true"))
	}
	n.addPatience(c.Patience, usual)
	if c.Cached {
		n.add("hit", plainText(number(c.Hit)))
		n.add("miss", w.steps(c.Miss, usual))
	}
	if len(n.Content) == 2 {
		return ynode{n.Content[1]}
	}
	return n
}

func (w appWriter) target(t foresail.Target) ynode {
	return text(w.bp.App.Services[t.Service].Name + "." + w.bp.Services[t.Service].Operations[t.Operation].Name)
}

// shortObjective is the short form of an objective that appfile reads.
var shortObjective = regexp.MustCompile(`^p([0-9.]+) *< *(\S+)$`)

func objectiveNode(o *foresail.Objective) ynode {
	short := fmt.Sprintf("p%s < %s", number(o.Percentile), duration(o.Latency))
	if o.Window == 0 && o.MinRequests == 0 && shortObjective.MatchString(short) {
		return plainText(short)
	}
	n := mapping()
	n.add("percentile", plainText(number(o.Percentile)))
	n.add("latency", plainText(duration(o.Latency)))
	if o.Window > 0 {
		n.add("window", plainText(duration(o.Window)))
	}
	if o.MinRequests > 0 {
		n.add("min_requests", plainText(strconv.Itoa(o.MinRequests)))
	}
	return n
}

// distNode is a demand of more than nothing.
func distNode(d foresail.Dist) ynode {
	mean := plainText(duration(time.Duration(math.Round(d.Mean * float64(time.Second)))))
	if d.Shape == foresail.LogNormal && d.CV == appfile.DefaultCV {
		return mean
	}
	n := mapping()
	n.add("mean", mean)
	if d.Shape == foresail.LogNormal {
		n.add("cv", plainText(number(d.CV)))
	} else {
		n.add("shape", plainText(d.Shape.String()))
	}
	return n
}

func duration(d time.Duration) string {
	s := strings.Replace(d.String(), "µs", "us", 1)
	if strings.HasSuffix(s, "m0s") { // 1m0s reads better as 1m
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// size has the largest unit that leaves a whole number.
func size(bytes int64) string {
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes > 0 && bytes%u.bytes == 0 {
			return strconv.FormatInt(bytes/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(bytes, 10) + "B"
}

// span is the range from one value to another.
func span(low, high string) string {
	if low == high {
		return low
	}
	return low + ".." + high
}
