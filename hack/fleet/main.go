// Command fleet writes the load of many services that are not there, a CSV file each, for measuring how fast and how well
// `foresail train` trains them: load.Minutes, which reproduces what Madu's §2.2 measured, with places in the call graph drawn
// from a seed.
//
//	go run ./hack/fleet --services 1000 --days 31 --seed 7 --out /tmp/fleet
package main

import (
	"bufio"
	"compress/gzip"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"foresail.dev/load"
)

// monday is the midnight at which all series begin.
const monday = 1767571200 // 2026-01-05 00:00 UTC

func main() {
	services := flag.Int("services", 1000, "how many")
	days := flag.Int("days", 31, "of minutes, of each")
	seed := flag.Uint64("seed", 1, "another seed draws other services")
	out := flag.String("out", "", "folder to write to")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 || *services < 1 || *days < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := write(*out, *services, *days, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func write(dir string, services, days int, seed uint64) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var next atomic.Int64
	errs := make([]error, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < services && errs[w] == nil; i = int(next.Add(1) - 1) {
				errs[w] = one(filepath.Join(dir, fmt.Sprintf("service-%04d.csv.gz", i)), days, seed<<20+uint64(i))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// one draws a service's place, one of twenty an entry, and writes its calls.
func one(path string, days int, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 0x666c656574))
	p := load.Place{Entry: r.IntN(20) == 0, InDegree: 1 + r.IntN(4), Probability: 0.1 + 0.9*r.Float64()}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	b := bufio.NewWriter(z)
	b.WriteString("time,calls\n")
	var line []byte
	for i, v := range load.Minutes(seed, days, p) {
		line = strconv.AppendInt(line[:0], monday+60*int64(i), 10)
		line = append(line, ',')
		line = strconv.AppendFloat(line, v, 'f', -1, 64)
		b.Write(append(line, '\n'))
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}
