package compare

import (
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/load"
	"pgregory.net/rapid"
)

// judgements are windows of a second each from origin on: "." is good, "x" is in violation.
func judgements(pattern string) (out []foresail.Window) {
	for i, c := range pattern {
		at := origin.Add(time.Duration(i) * time.Second)
		out = append(out, foresail.Window{Start: at, End: at.Add(time.Second), Violated: c == 'x'})
	}
	return out
}

func TestRecovery(t *testing.T) {
	sec := time.Second
	for _, c := range []struct {
		name, pattern string // the surge lasts from 2 s to 6 s
		want          time.Duration
		never         bool
	}{
		{"nothing happens", "...............", 0, false},
		{"at once, and over soon", "..xxx..........", 3 * sec, false},
		{"it comes later", "....x..........", 3 * sec, false},
		{"four good windows don't end it", "..x....x........", 6 * sec, false},
		{"five do, and it begins anew while the surge lasts", "..x.....x......", 1 * sec, false}, // at 8 s the surge is over
		{"what was there before counts", ".xx............", 1 * sec, false},
		{"before alone", ".x.............", 0, false},
		{"too few good windows at the end", "..xxxxxxxxx....", 13 * sec, true},
		{"never", "..xxxxxxxxxxxxx", 13 * sec, true},
		{"not of the surge", ".........xxxxxx", 0, false},
		{"nothing judged", "", 0, false},
	} {
		s := stretch{origin.Add(2 * sec), origin.Add(6 * sec), origin.Add(15 * sec)}
		if got, ok := s.recovery(judgements(c.pattern)); got != c.want || ok == c.never {
			t.Errorf("%s: %v, %v; want %v", c.name, got, ok, c.want)
		}
	}
}

// It is what one finds who first lists the episodes and then looks for the last that the surge began.
func TestRecoveryByEpisodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[.x]{1,60}`).Draw(t, "pattern")
		n := len(pattern)
		start := rapid.IntRange(0, n-1).Draw(t, "start")
		end := rapid.IntRange(start+1, n).Draw(t, "end")
		at := func(i int) time.Time { return origin.Add(time.Duration(i) * time.Second) }
		got, ok := stretch{at(start), at(end), at(n)}.recovery(judgements(pattern))

		type episode struct{ first, last int }
		var all []episode
		for i := start; i < n; i++ {
			if pattern[i] != 'x' {
				continue
			}
			if k := len(all); k > 0 && i-all[k-1].last <= foresail.EpisodeEnd {
				all[k-1].last = i
			} else {
				all = append(all, episode{i, i})
			}
		}
		all = slices.DeleteFunc(all, func(e episode) bool { return e.first >= end })
		want, never := 0, false
		if k := len(all); k > 0 {
			want = all[k-1].last + 1 - start
			if never = n-all[k-1].last-1 < foresail.EpisodeEnd; never {
				want = n - start
			}
		}
		if got != time.Duration(want)*time.Second || ok == never {
			t.Fatalf("%s, %d to %d: %v, %v; want %d s, never %v", pattern, start, end, got, ok, want, never)
		}
	})
}

// Surges in the warm-up don't count, nor those beyond the end; each is its own until the next begins.
func TestStretches(t *testing.T) {
	m := time.Minute
	surges := []load.Surge{{Start: 1 * m, End: 2 * m}, {Start: 3 * m, End: 4 * m}, {Start: 6 * m, End: 9 * m}, {Start: 8 * m, End: 9 * m}}
	got := stretches(surges, origin, origin.Add(2*m), origin.Add(8*m))
	want := []stretch{{origin.Add(3 * m), origin.Add(4 * m), origin.Add(6 * m)}, {origin.Add(6 * m), origin.Add(9 * m), origin.Add(8 * m)}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A run under a spike that its allocation can't carry says how long it took, in its outcome and in its row; one under a
// load without a spike says nothing.
func TestRunRecovers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/spike.yaml", "load: spike\ncurve: [spike: {base: 20, peak: 900, at: 10s, width: 3s, for: 50s}]\n")
	write(t, dir+"/steady.yaml", "load: steady\ncurve: [constant: 20]\n")
	write(t, dir+"/e.yaml", `experiment: a
applications: [online-boutique]
loads: [spike.yaml, steady.yaml]
managers: [static]
seeds: [1, 2]
duration: 45s
warmup: 5s
`)
	e, err := Read(dir + "/e.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g, err := Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	spike, steady := r.Rows[0], r.Rows[1]
	if spike.Recovery == nil || *spike.Recovery < 3 || *spike.Recovery > 40 || spike.RecoveryCI == nil || r.Runs[0].Surges != 1 {
		t.Errorf("under a spike: %+v", spike)
	}
	if steady.Recovery != nil || steady.Unrecovered != nil {
		t.Errorf("without one: %+v", steady)
	}
}
