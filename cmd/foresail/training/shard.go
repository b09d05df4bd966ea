package training

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Shard is one of several that share the services of an application among them. The zero value is the only one.
type Shard struct {
	Index int // from 0
	Count int
}

const maxShards = 10_000

// ParseShard reads "0/8", the first of eight, to "7/8", the last.
func ParseShard(text string) (Shard, error) {
	a, b, ok := strings.Cut(text, "/")
	i, err := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	if !ok || err != nil || err2 != nil || i < 0 || n < 1 || i >= n || n > maxShards {
		return Shard{}, fmt.Errorf("%q is no shard: give a number from 0 and how many there are, like 0/8 for the first and 7/8 for the last of eight", text)
	}
	return Shard{i, n}, nil
}

// String is what ParseShard reads.
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, max(s.Count, 1)) }

// Has tells whether a service is this shard's. It hangs on the name alone: that a service comes or goes moves no other.
func (s Shard) Has(service string) bool {
	if s.Count <= 1 {
		return true
	}
	return spread(service)%uint64(s.Count) == uint64(s.Index)
}

// spread is a number of a name that says nothing of the name's order.
func spread(service string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(service))
	x := h.Sum64() // its low bits alone don't differ enough for names that differ in the last letter
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}
