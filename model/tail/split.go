package tail

import (
	"math"
	"math/rand/v2"
)

// parts are the samples of runs by what they are for.
type parts struct {
	train []sample
	stop  []sample // say when network and trees are good enough
	odds  []sample // calibrate
}

// holdOut keeps whole runs: which are for training, and which for the report alone.
func holdOut(runs []Run, share float64, r *rand.Rand) (train, held []Run) {
	n := int(math.Round(share * float64(len(runs))))
	if share > 0 && n == 0 && len(runs) >= 3 {
		n = 1
	}
	n = min(n, len(runs)-1)
	away := map[int]bool{}
	for _, i := range r.Perm(len(runs))[:max(n, 0)] {
		away[i] = true
	}
	for i, run := range runs {
		if away[i] {
			held = append(held, run)
		} else {
			train = append(train, run)
		}
	}
	return train, held
}

// split keeps a share of each run's blocks of seconds from training, half of them to stop and half to calibrate. Between
// blocks longer than a second and training it leaves the seconds out that are part of samples of both.
func split(t *table, share float64, block int, r *rand.Rand) (p parts) {
	kept := map[[2]int32]int{} // run and block → 1 to stop, 2 to calibrate
	key := func(s sample) [2]int32 { return [2]int32{s.run, s.row / int32(block)} }
	for from := 0; from < len(t.samples); {
		to := from
		var blocks [][2]int32
		for ; to < len(t.samples) && t.samples[to].run == t.samples[from].run; to++ {
			if k := key(t.samples[to]); len(blocks) == 0 || blocks[len(blocks)-1] != k {
				blocks = append(blocks, k)
			}
		}
		n := int(math.Round(share * float64(len(blocks))))
		for i, at := range r.Perm(len(blocks))[:n] {
			kept[blocks[at]] = 1 + i%2
		}
		from = to
	}
	const reach = Past + Horizon
	for _, s := range t.samples {
		switch kept[key(s)] {
		case 1:
			p.stop = append(p.stop, s)
		case 2:
			p.odds = append(p.odds, s)
		default:
			if block > 1 && (kept[key(sample{s.row - reach, s.run})] != 0 || kept[key(sample{s.row + reach, s.run})] != 0) {
				continue
			}
			p.train = append(p.train, s)
		}
	}
	return p
}
