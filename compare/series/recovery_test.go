package series

import (
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/load"
	"pgregory.net/rapid"
)

var origin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

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
		s := Stretch{origin.Add(2 * sec), origin.Add(6 * sec), origin.Add(15 * sec)}
		if got, ok := s.Recovery(judgements(c.pattern)); got != c.want || ok == c.never {
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
		got, ok := Stretch{at(start), at(end), at(n)}.Recovery(judgements(pattern))

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
	got := Stretches(surges, origin, origin.Add(2*m), origin.Add(8*m))
	want := []Stretch{{origin.Add(3 * m), origin.Add(4 * m), origin.Add(6 * m)}, {origin.Add(6 * m), origin.Add(9 * m), origin.Add(8 * m)}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
