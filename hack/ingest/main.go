// Command ingest measures span ingestion on one core; see run.sh. It starts each receiver as a process of its own on one
// processor, sends it the same requests from the other, and counts what it took in against the processor time it used.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

type options struct {
	collector, commit, out string
	foresail               string
	rounds                 int
	warmup, duration       time.Duration
	seed                   uint64
}

// row is one receiver over all rounds: medians.
type row struct {
	Receiver     string    `json:"receiver"`
	SpansPerCore float64   `json:"spans_per_core_s"` // by processor time
	SpansPerS    float64   `json:"spans_per_s"`      // by the clock
	Busy         float64   `json:"cores_used"`
	RSS          float64   `json:"rss_mib"` // the largest
	Ratio        float64   `json:"ratio_to_spanmetrics"`
	Snapshots    int       `json:"snapshots,omitempty"`
	Daemon       float64   `json:"daemon_share,omitempty"` // of the processor time, the process that merges
	Rounds       []float64 `json:"rounds_spans_per_core_s"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "ingest:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "merge" {
		if err := merge(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "ingest:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.collector, "collector", "", "the Collector's binary; empty: Foresail alone")
	flag.StringVar(&o.foresail, "foresail", "", "the program; given, ingesters that report to a daemon are measured beside one process")
	flag.StringVar(&o.commit, "commit", "", "the commit measured")
	flag.StringVar(&o.out, "out", "", "file for the result as JSON")
	flag.IntVar(&o.rounds, "rounds", 5, "times that each receiver is measured, in turn")
	flag.DurationVar(&o.warmup, "warmup", 3*time.Second, "before each measurement")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "of each measurement")
	flag.Uint64Var(&o.seed, "seed", 1, "of the spans")
	flag.Parse()
	if runtime.NumCPU() < 2 {
		fmt.Fprintln(os.Stderr, "ingest: this needs two processors: one that is measured and one that sends")
		os.Exit(1)
	}
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	targets := []target{foresailTarget{}}
	if o.collector != "" {
		targets = append(targets, collectorTarget{o.collector, true}, collectorTarget{o.collector, false})
	}
	if o.foresail != "" {
		targets = append(targets, relayTarget{o.foresail, 1}, relayTarget{o.foresail, 2})
	}
	w := []*workload{newWorkload(o.seed), newWorkload(o.seed + 1)}
	rows := make([]row, len(targets))
	rates, shares := make([][]float64, len(targets)), make([][]float64, len(targets))
	for round := range o.rounds {
		for i, t := range targets {
			m, err := measure(t, w, o)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name(), err)
			}
			fmt.Fprintf(os.Stderr, "round %d  %-36s %8.0f spans/s per core\n", round+1, t.name(), m.perCore())
			r := &rows[i]
			r.Receiver, r.Snapshots = t.name(), r.Snapshots+m.snapshots
			r.Rounds = append(r.Rounds, math.Round(m.perCore()))
			rates[i] = append(rates[i], m.perSecond())
			r.RSS = max(r.RSS, math.Round(m.rss))
			shares[i] = append(shares[i], m.share)
		}
	}
	for i := range rows {
		rows[i].SpansPerCore, rows[i].SpansPerS = median(rows[i].Rounds), math.Round(median(rates[i]))
		rows[i].Daemon = math.Round(median(shares[i])*1e4) / 1e4
		rows[i].Busy = math.Round(rows[i].SpansPerS/rows[i].SpansPerCore*100) / 100
	}
	for i := range rows {
		if o.collector != "" {
			rows[i].Ratio = math.Round(rows[i].SpansPerCore/rows[1].SpansPerCore*100) / 100
		}
	}
	fmt.Printf("%-36s %14s %10s %6s %9s %6s %7s\n", "receiver", "spans/core-s", "spans/s", "cores", "ratio", "MiB", "daemon")
	for _, r := range rows {
		fmt.Printf("%-36s %14.0f %10.0f %6.2f %9.2f %6.0f %6.1f%%\n", r.Receiver, r.SpansPerCore, r.SpansPerS, r.Busy, r.Ratio, r.RSS, 100*r.Daemon)
	}
	if o.out == "" {
		return nil
	}
	b, err := json.MarshalIndent(map[string]any{"schema": "foresail.dev/ingest/v1", "commit": o.commit, "seed": o.seed, "machine": machine(), "rows": rows}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.out, append(b, '\n'), 0o644)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// machine says where a result was made.
func machine() map[string]any {
	cpu := ""
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name\t: "); ok {
			cpu, _, _ = strings.Cut(rest, "\n")
		}
	}
	kernel, _ := exec.Command("uname", "-r").Output()
	return map[string]any{"os": runtime.GOOS, "arch": runtime.GOARCH, "cpus": runtime.NumCPU(), "cpu": cpu,
		"kernel": strings.TrimSpace(string(kernel)), "go": runtime.Version()}
}
