package appfile

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean is `; did you mean "x"?` for the known name nearest to got, a list of the known names where none is near
// and there are few, and empty otherwise.
func didYouMean(got string, known []string) string {
	best, at := "", max(len(got)/3, 1)+1
	for _, k := range known {
		if d := distance(strings.ToLower(got), strings.ToLower(k), at); d < at {
			best, at = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if n := len(known); n > 0 && n <= 30 {
		sorted := slices.Clone(known)
		slices.Sort(sorted)
		return "; known: " + strings.Join(sorted, ", ")
	}
	return ""
}

// distance is the least number of letters to insert, delete, replace or swap with a neighbour that turns a into b;
// limit or more is told as limit.
func distance(a, b string, limit int) int {
	if len(a) > 100 || len(b) > 100 || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		now, up, up2 := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(up[j]+1, now[j-1]+1, up[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], up2[j-2]+1)
			}
		}
	}
	return min(rows[len(a)%3][len(b)], limit)
}
