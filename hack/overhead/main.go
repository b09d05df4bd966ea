// Command overhead measures what telemetry/instrument takes; see run.sh.
//
// A server process serves one handler twice: as it is, and counted, with reports going out each 100 ms. The load comes from
// this process, in pairs of short slots, one of each kind in random order, so that whatever else slows the machine down hits
// both. The share that the counting takes is the mean over pairs, the outer fifth on
// each side left out, with an interval from resampling the pairs.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

type options struct {
	commit, out string
	pairs       int
	slot, work  time.Duration
	rate        float64
	conns       int
	seed        uint64
}

// row is one figure with and without.
type row struct {
	Figure  string  `json:"figure"`
	Without float64 `json:"without"`
	With    float64 `json:"with"`
	Share   float64 `json:"share_pct"` // that the counting takes
	Low     float64 `json:"ci95_low_pct"`
	High    float64 `json:"ci95_high_pct"`
	Pairs   int     `json:"pairs"`
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		fail(serve(os.Args[2], os.Args[3]))
		return
	}
	var o options
	flag.StringVar(&o.commit, "commit", "", "the commit measured")
	flag.StringVar(&o.out, "out", "", "file for the result as JSON")
	flag.IntVar(&o.pairs, "pairs", 1500, "pairs of slots, for latency and for throughput each")
	flag.DurationVar(&o.slot, "slot", 200*time.Millisecond, "length of a slot")
	flag.DurationVar(&o.work, "work", 20*time.Microsecond, "processor time that the handler takes of itself")
	flag.Float64Var(&o.rate, "rate", 10_000, "requests a second, for latency")
	flag.IntVar(&o.conns, "conns", 32, "connections")
	flag.Uint64Var(&o.seed, "seed", 1, "of the order within pairs and of resampling")
	flag.Parse()
	fail(run(&o))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "overhead:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	s, err := startServer(o.work)
	if err != nil {
		return err
	}
	defer s.stop()
	c, err := dial(s.addr, o.conns)
	if err != nil {
		return err
	}
	defer c.close()
	paths := [2]string{"/plain", "/counted"}
	for _, p := range paths { // warms up
		if _, err := c.paced(p, o.rate, time.Second); err != nil {
			return err
		}
	}
	r := rand.New(rand.NewPCG(o.seed, 1))
	var mean, median, rate [2][]float64
	for i := range o.pairs {
		first := r.IntN(2)
		for _, k := range [2]int{first, 1 - first} {
			latencies, err := c.paced(paths[k], o.rate, o.slot)
			if err != nil {
				return err
			}
			slices.Sort(latencies)
			mean[k] = append(mean[k], average(latencies))
			median[k] = append(median[k], latencies[len(latencies)/2])
		}
		for _, k := range [2]int{1 - first, first} {
			n, err := c.flood(paths[k], o.slot)
			if err != nil {
				return err
			}
			rate[k] = append(rate[k], n)
		}
		if i%100 == 99 {
			fmt.Fprintf(os.Stderr, "%d of %d pairs\n", i+1, o.pairs)
		}
	}
	if err := s.check(); err != nil {
		return err
	}
	rows := []row{
		compare("latency, mean of a slot, us", mean, 1, r),
		compare("latency, median of a slot, us", median, 1, r),
		compare("throughput, requests/s", rate, -1, r),
	}
	fmt.Printf("%-32s %12s %12s %10s %22s\n", "figure", "without", "with", "share", "95 % interval")
	for _, w := range rows {
		fmt.Printf("%-32s %12.2f %12.2f %9.3f%% %9.3f%% to %7.3f%%\n", w.Figure, w.Without, w.With, w.Share, w.Low, w.High)
	}
	if o.out == "" {
		return nil
	}
	b, err := json.MarshalIndent(map[string]any{"schema": "foresail.dev/overhead/v1", "commit": o.commit, "seed": o.seed, "machine": machine(),
		"rate_per_s": o.rate, "work_us": o.work.Seconds() * 1e6, "slot_s": o.slot.Seconds(), "rows": rows}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.out, append(b, '\n'), 0o644)
}

func average(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// trimmed is the mean without the outer fifth on each side.
func trimmed(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	cut := len(s) / 5
	return average(s[cut : len(s)-cut])
}

// compare says what share the second kind takes of the first: sign is -1 where less is worse.
func compare(name string, v [2][]float64, sign float64, r *rand.Rand) row {
	shares := make([]float64, len(v[0]))
	for i := range shares {
		shares[i] = 100 * sign * (v[1][i] - v[0][i]) / v[0][i]
	}
	w := row{Figure: name, Without: trimmed(v[0]), With: trimmed(v[1]), Share: trimmed(shares), Pairs: len(shares)}
	again := make([]float64, 2000)
	sample := make([]float64, len(shares))
	for i := range again {
		for j := range sample {
			sample[j] = shares[r.IntN(len(shares))]
		}
		again[i] = trimmed(sample)
	}
	slices.Sort(again)
	w.Low, w.High = again[len(again)/40], again[len(again)-1-len(again)/40]
	for _, f := range []*float64{&w.Without, &w.With, &w.Share, &w.Low, &w.High} {
		*f = math.Round(*f*1e4) / 1e4
	}
	return w
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
