package partition

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// schemata are the lines of a resctrl schemata file that are about the last-level cache: by resource (L3, or L3CODE and
// L3DATA where code and data are told apart), by cache, the ways that may be filled.
type schemata map[string]map[int]uint64

// parseSchemata reads a schemata file, for example "    L3:0=fffff;1=fffff\n    MB:0=100;1=100\n". Other resources are
// left out.
func parseSchemata(text string) (schemata, error) {
	s := schemata{}
	for line := range strings.Lines(text) {
		resource, list, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || !lastLevel(resource) {
			continue
		}
		if s[resource] != nil {
			return nil, fmt.Errorf("schemata have %s twice", resource)
		}
		s[resource] = map[int]uint64{}
		for part := range strings.SplitSeq(list, ";") {
			id, mask, ok := strings.Cut(strings.TrimSpace(part), "=")
			n, e1 := strconv.ParseUint(id, 10, 31)
			m, e2 := parseMask(mask)
			if err := errors.Join(e1, e2); !ok || err != nil {
				return nil, fmt.Errorf("schemata of %s: %q is no cache and mask", resource, part)
			}
			if _, twice := s[resource][int(n)]; twice {
				return nil, fmt.Errorf("schemata of %s have cache %d twice", resource, n)
			}
			s[resource][int(n)] = m
		}
	}
	return s, nil
}

func lastLevel(resource string) bool {
	return resource == "L3" || resource == "L3CODE" || resource == "L3DATA"
}

// parseMask reads a mask of ways; the kernel may print it with commas after each 32 bits.
func parseMask(text string) (uint64, error) {
	return strconv.ParseUint(strings.ReplaceAll(strings.TrimSpace(text), ",", ""), 16, 64)
}

// String is what is written to a schemata file: a line for each resource, in order.
func (s schemata) String() string {
	var b strings.Builder
	for _, resource := range slices.Sorted(maps.Keys(s)) {
		b.WriteString(resource)
		b.WriteByte(':')
		for i, id := range slices.Sorted(maps.Keys(s[resource])) {
			if i > 0 {
				b.WriteByte(';')
			}
			fmt.Fprintf(&b, "%d=%x", id, s[resource][id])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (s schemata) equal(o schemata) bool {
	return maps.EqualFunc(s, o, func(a, b map[int]uint64) bool { return maps.Equal(a, b) })
}

// among tells whether each mask of s is the one that some of the others has there.
func (s schemata) among(others ...schemata) bool {
	for resource, caches := range s {
		for id, mask := range caches {
			if !slices.ContainsFunc(others, func(o schemata) bool {
				m, ok := o[resource][id]
				return ok && m == mask
			}) {
				return false
			}
		}
	}
	return true
}

// contiguous tells whether a mask is one run of ones.
func contiguous(mask uint64) bool {
	return mask != 0 && bits.OnesCount64(mask)+bits.TrailingZeros64(mask)+bits.LeadingZeros64(mask) == 64
}

// run is a mask of n ways from the way first on.
func run(first, n int) uint64 {
	if n >= 64 {
		return ^uint64(0) << first
	}
	return (1<<n - 1) << first
}

// ways is what the hardware allows of one resource.
type ways struct {
	all    uint64 // each way that there is
	fewest int    // ways that a group must have at least
}

// request is what one share wants of each cache.
type request struct {
	name  string
	ways  int
	alone bool
}

// divide gives each request its ways of one cache: first those that want to be alone, one beside the other from the
// lowest way on, since hardware (of networks, say) fills the highest; then the others, all from the first way that is left. What others have loses
// the ways that somebody has alone. Everybody's mask stays one run of at least w.fewest ways, or divide says who can't be
// served.
func divide(w ways, requests []request, others map[string]uint64) (given map[string]uint64, left map[string]uint64, err error) {
	total, lowest := bits.OnesCount64(w.all), bits.TrailingZeros64(w.all)
	given, left = map[string]uint64{}, map[string]uint64{}
	var alone uint64
	at := lowest
	for _, r := range requests {
		if r.ways < w.fewest {
			return nil, nil, fmt.Errorf("%s: %d ways: this cache gives no group fewer than %d", r.name, r.ways, w.fewest)
		}
		if !r.alone {
			continue
		}
		if at-lowest+r.ways > total {
			return nil, nil, fmt.Errorf("%s: %d ways alone: of %d ways others have %d alone", r.name, r.ways, total, at-lowest)
		}
		given[r.name] = run(at, r.ways)
		alone |= given[r.name]
		at += r.ways
	}
	for _, r := range requests {
		if r.alone {
			continue
		}
		if at-lowest+r.ways > total {
			return nil, nil, fmt.Errorf("%s: %d ways: of %d ways others have %d alone", r.name, r.ways, total, at-lowest)
		}
		given[r.name] = run(at, r.ways)
	}
	for name, mask := range others {
		m := mask &^ alone
		if m != mask && (!contiguous(m) || bits.OnesCount64(m) < w.fewest) {
			return nil, nil, fmt.Errorf("%s would keep ways %x of %x, and this cache wants one run of %d or more: ask for fewer ways alone", groupName(name), m, mask, w.fewest)
		}
		left[name] = m
	}
	return given, left, nil
}

func groupName(name string) string {
	if name == "" {
		return "the default group"
	}
	return "group " + name
}
