// Package doctor tells people what a Prometheus has of an application, and what that comes to.
package doctor

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"foresail.dev"
	"foresail.dev/plan/managers"
	"foresail.dev/telemetry/prom"
)

// finding is a signal as the table shows it, and what is lost without it.
type finding struct {
	column  string
	signals foresail.Signals
	cost    string
}

// findings are the columns, by what matters most.
var findings = []finding{
	{"cpu", foresail.SignalCPU, "nothing says how much a service uses: no manager but static can decide, and the guard can't tell how far an allocation may fall"},
	{"allocation", foresail.SignalAllocation, "nothing says what a service has (replicas and CPU limits): utilisation is unknown"},
	{"requests", foresail.SignalCompletions, "no load is seen: nothing is forecast, and errors are not seen either"},
	{"latency", foresail.SignalLatency, "no service is known to be slow: latency can't be learnt"},
	{"in flight", foresail.SignalInFlight, "what waits is not seen: violations are not foreseen, and arrivals are taken to be what was answered"},
	{"throttled", foresail.SignalThrottled, "nobody sees a CPU quota that is too tight before latency tells"},
	{"ready", foresail.SignalReady, "replicas that start or fail are not seen"},
	{"memory", foresail.SignalMemory, "memory can't be managed"},
	{"network", foresail.SignalNetwork, "a network at fault can't be told"},
	{"disk", foresail.SignalDisk, "a disk at fault can't be told"},
	{"pressure", foresail.SignalPressure, "waiting for CPU, memory or disks can't be told from work"},
}

// Diagnosis is a report with what it means.
type Diagnosis struct {
	*prom.Report
	missing  map[string][]string // services, by column
	managers []managerVerdict
}

// managerVerdict says whether a manager can decide.
type managerVerdict struct {
	Manager string `json:"manager"`
	Decides bool   `json:"decides"`
	Lacks   string `json:"lacks,omitempty"`   // signals that no service has
	Without string `json:"without,omitempty"` // services that lack one that it needs
}

// Of says what a report means.
func Of(r *prom.Report) *Diagnosis {
	d := &Diagnosis{Report: r, missing: map[string][]string{}}
	var union foresail.Signals
	for _, s := range r.Services {
		union |= s.Has
		for _, f := range findings {
			if !s.Has.Has(f.signals) {
				d.missing[f.column] = append(d.missing[f.column], s.Name)
			}
		}
	}
	if r.Edges > 0 {
		union |= foresail.SignalEdges
	}
	if slices.ContainsFunc(r.Endpoints, func(e prom.EndpointReport) bool { return e.Seen }) {
		union |= foresail.SignalEndpoints
	}
	perService := prom.Worth
	for _, name := range managers.Names() {
		m, err := managers.New(name, r.App)
		if err != nil {
			continue // what it lacks is no signal
		}
		need := m.Needs().Required
		v := managerVerdict{Manager: name, Decides: need&^union == 0}
		if !v.Decides {
			v.Lacks = (need &^ union).String()
		} else {
			var without []string
			for _, s := range r.Services {
				if need&perService&^s.Has != 0 {
					without = append(without, s.Name)
				}
			}
			v.Without = strings.Join(without, ", ")
		}
		d.managers = append(d.managers, v)
	}
	return d
}

// Usable is an error where nothing could be managed by what there is.
func (d *Diagnosis) Usable(url string) error {
	for _, s := range d.Services {
		if s.Has.Has(foresail.SignalCPU) || s.Has.Has(foresail.SignalCompletions) {
			return nil
		}
	}
	hint := "check that it scrapes them (its page Status > Targets), and that labels hold the names that the application has, or say with --service OUTSIDE=NAME which they are"
	if len(d.Services) == 0 {
		hint = "check that it scrapes OpenTelemetry, Istio, spanmetrics or cAdvisor metrics, or write a recipe of your own (docs/formats/recipes.md)"
	}
	return fmt.Errorf("nothing usable at %s: no service has CPU or requests; %s", url, hint)
}

// Row is one service. What is not there is absent.
type Row struct {
	Service    string `json:"service"`
	Replicas   int    `json:"replicas,omitempty"`
	CPU        string `json:"cpu,omitempty"`
	Allocation string `json:"allocation,omitempty"`
	Requests   string `json:"requests,omitempty"`
	Latency    string `json:"latency,omitempty"`
	InFlight   string `json:"in_flight,omitempty"`
	Throttled  string `json:"throttled,omitempty"`
	Ready      string `json:"ready,omitempty"`
	Memory     string `json:"memory,omitempty"`
	Network    string `json:"network,omitempty"`
	Disk       string `json:"disk,omitempty"`
	Pressure   string `json:"pressure,omitempty"`
	Missing    string `json:"missing,omitempty"`
}

// Rows are the services.
func (d *Diagnosis) Rows() []Row {
	out := []Row{}
	for i := range d.Services {
		s := &d.Services[i]
		r := Row{Service: s.Name, Replicas: s.Replicas}
		cells := []*string{&r.CPU, &r.Allocation, &r.Requests, &r.Latency, &r.InFlight, &r.Throttled, &r.Ready, &r.Memory, &r.Network, &r.Disk, &r.Pressure}
		var missing []string
		for k, f := range findings {
			if s.Has.Has(f.signals) {
				*cells[k] = s.Giver(f.signals)
			} else {
				missing = append(missing, f.column)
			}
		}
		r.Missing = strings.Join(missing, ", ")
		out = append(out, r)
	}
	return out
}

// Detail is what is no service's own.
type Detail struct {
	Scrape     float64          `json:"scrape_s,omitempty"`
	Interval   float64          `json:"interval_s"`
	Skew       float64          `json:"clock_skew_s"`
	SkewOff    float64          `json:"clock_skew_error_s"`
	Edges      int              `json:"edges"`
	Histograms []histogram      `json:"histograms,omitempty"`
	Endpoints  []endpoint       `json:"endpoints,omitempty"`
	Costs      []cost           `json:"costs,omitempty"`
	Managers   []managerVerdict `json:"managers"`
	Unknown    []unknown        `json:"unknown_names,omitempty"`
	Notes      []string         `json:"notes,omitempty"`
}

type histogram struct {
	Recipe   string   `json:"recipe"`
	Metric   string   `json:"metric"`
	Native   bool     `json:"native"`
	Services int      `json:"services"`
	Error    *float64 `json:"p99_error,omitempty"` // a share; absent: nothing counted, or over the last bucket
	Over     bool     `json:"p99_over_last_bucket,omitempty"`
}

type endpoint struct {
	Endpoint string   `json:"endpoint"`
	Seen     bool     `json:"seen"`
	Requests float64  `json:"requests"`
	Error    *float64 `json:"objective_error,omitempty"`
	Over     bool     `json:"objective_over_last_bucket,omitempty"`
}

type cost struct {
	Signal   string   `json:"signal"`
	Cost     string   `json:"cost"`
	Services []string `json:"services"`
}

type unknown struct {
	Recipe string   `json:"recipe"`
	Metric string   `json:"metric"`
	Label  string   `json:"label"`
	Names  []string `json:"names"`
}

func share(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	v = round(v)
	return &v
}

// Detail is what fits in no row.
func (d *Diagnosis) Detail() Detail {
	out := Detail{Scrape: round(d.Scrape.Seconds()), Interval: round(d.Interval.Seconds()), Skew: round(d.Skew.Seconds()), SkewOff: round(d.SkewOff.Seconds()),
		Edges: d.Edges, Managers: d.managers, Notes: d.Notes}
	for _, h := range d.Histograms {
		out.Histograms = append(out.Histograms, histogram{h.Recipe, h.Metric, h.Native, h.Services, share(h.Error), math.IsInf(h.Error, 1)})
	}
	for _, e := range d.Endpoints {
		out.Endpoints = append(out.Endpoints, endpoint{e.Name, e.Seen, e.Requests, share(e.Error), math.IsInf(e.Error, 1)})
	}
	for _, f := range findings {
		if names := d.missing[f.column]; len(names) > 0 {
			out.Costs = append(out.Costs, cost{f.column, f.cost, names})
		}
	}
	for _, u := range d.Unknown {
		out.Unknown = append(out.Unknown, unknown(u))
	}
	return out
}

// Print is the report for people. known: the application was given, and not found.
func (d *Diagnosis) Print(w io.Writer, known bool) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "service\treplicas")
	for _, f := range findings {
		fmt.Fprint(tw, "\t"+f.column)
	}
	fmt.Fprintln(tw)
	for i := range d.Services {
		s := &d.Services[i]
		fmt.Fprintf(tw, "%s\t%s", strings.Map(printable, s.Name), orDash(s.Replicas > 0, fmt.Sprint(s.Replicas)))
		for _, f := range findings {
			fmt.Fprint(tw, "\t"+orDash(s.Has.Has(f.signals), s.Giver(f.signals)))
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	p := func(format string, args ...any) {
		fmt.Fprintln(w, strings.Map(printable, fmt.Sprintf(format, args...)))
	}
	p("")
	if d.Scrape > 0 {
		p("samples are %v apart: snapshots are %v long", d.Scrape, d.Interval)
	} else {
		p("how far samples are apart is not known, since no series has two: snapshots are %v long", d.Interval)
	}
	if off := max(d.Skew, -d.Skew); off > d.SkewOff+time.Second {
		p("the clocks disagree by %v: it is made up for, but set them", d.Skew.Round(time.Millisecond))
	}
	for _, h := range d.Histograms {
		p("%s", precision(h))
	}
	for _, e := range d.Endpoints {
		switch {
		case !e.Seen:
			p("endpoint %s: no request was seen; its objective is not judged", e.Name)
		case math.IsInf(e.Error, 1):
			p("endpoint %s: its objective is over the last bucket: no request is ever seen to be late", e.Name)
		case e.Error > 0.1:
			p("endpoint %s: its objective lies within a bucket: which requests are late is known to within %.0f %% of it", e.Name, 100*e.Error)
		}
	}
	if d.Edges == 0 {
		p("calls from service to service: none seen; the call graph can't be learnt")
	} else {
		p("calls from service to service: %d edges", d.Edges)
	}
	for _, f := range findings {
		if names := d.missing[f.column]; len(names) > 0 && len(d.Services) > 0 {
			p("missing %s of %s: %s", f.column, of(names, len(d.Services)), f.cost)
		}
	}
	d.printManagers(p)
	if known {
		for _, u := range d.Unknown {
			p("%s (%s) has names that the application does not: %s", u.Metric, u.Recipe, strings.Join(u.Names, ", "))
		}
	}
	for _, n := range d.Notes {
		p("%s", n)
	}
	return nil
}

func (d *Diagnosis) printManagers(p func(string, ...any)) {
	var can []string
	for _, m := range d.managers {
		switch {
		case !m.Decides:
			p("%s can't decide: it needs %s", m.Manager, m.Lacks)
		case m.Without != "":
			p("%s can decide, but not for %s", m.Manager, of(strings.Split(m.Without, ", "), len(d.Services)))
		default:
			can = append(can, m.Manager)
		}
	}
	if len(can) > 0 {
		p("can decide: %s", strings.Join(can, ", "))
	}
}

func orDash(ok bool, s string) string {
	if !ok || s == "" {
		return "—"
	}
	return s
}

// of names services, or says that it is all of them.
func of(names []string, all int) string {
	switch {
	case len(names) == all && all > 1:
		return "all services"
	case len(names) > 8:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:8], ", "), len(names)-8)
	}
	return strings.Join(names, ", ")
}

func precision(h prom.HistogramReport) string {
	form := "classic buckets"
	if h.Native {
		form = "native histogram"
	}
	s := fmt.Sprintf("%s (%s, %d services): %s", h.Metric, h.Recipe, h.Services, form)
	switch {
	case math.IsNaN(h.Error):
		return s + ", nothing counted yet"
	case math.IsInf(h.Error, 1):
		return s + "; the 99th percentile is over the last bucket, and known to be at least that"
	}
	return s + fmt.Sprintf("; the 99th percentile is known to within %.0f %%", math.Ceil(100*h.Error))
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// printable replaces what would act on a terminal: names come from outside.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return unicode.ReplacementChar
	}
	return r
}
