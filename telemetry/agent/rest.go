package agent

import (
	"math"
	"path"
	"strings"
	"time"

	"foresail.dev/telemetry/agent/cgroup"
)

// What most containers of a node do in most beats is next to nothing, and to read that of each is most of what an agent
// costs. The group that all containers are below tells at once what they have used together: as long as that is what
// those have used that are read, the others rest, and nothing of them is read. When it is more, those that rest are read
// in turn, until it is known whose it was.
const (
	untold   = 10 * time.Millisecond // of CPU time that resting containers may have used, all together, and nobody told yet
	drowsy   = time.Millisecond      // who has used less, at the last look, may rest
	worthy   = 8                     // containers there must be
	minQuota = 2 * untold            // in a period: who has less could easily be throttled and not be noticed
)

// rest is the group above all containers.
type rest struct {
	path  string
	above *cgroup.Group // nil: nobody may rest
	base  time.Duration // that it has used beyond what the containers have, when all were read
	known bool          // base is of the present containers
	turn  int           // who was read last of those that rest
}

// below finds the group that is above all containers.
func (r *rest) below(mounts *cgroup.Mounts, containers []*container) {
	r.known = false
	at := ""
	if len(containers) >= worthy {
		at = above(containers)
	}
	if at == r.path {
		return
	}
	r.close()
	if at != "" {
		if g, err := mounts.OpenGroup(at); err == nil {
			r.path, r.above = at, g
		}
	}
}

func (r *rest) close() {
	if r.above != nil {
		r.above.Close()
	}
	*r = rest{}
}

// above is the deepest group that is above all containers.
func above(containers []*container) string {
	at := path.Dir(containers[0].path)
	for _, c := range containers[1:] {
		for at != "/" && !strings.HasPrefix(c.path, at+"/") {
			at = path.Dir(at)
		}
	}
	return at
}

// total is the CPU time of all containers and whatever else is there; false where it can't be told.
func (r *rest) total(buf []byte) (time.Duration, bool) {
	if r.above == nil {
		return 0, false
	}
	s, err := r.above.CPU(buf, math.MaxInt64)
	return s.CPU, err == nil && s.CPU > 0
}

// beats reads of all containers what each beat tells, but of those that rest unless whole is true. gone tells that some are
// no longer there.
func (s *Sampler) beats(now, length time.Duration, whole bool) (gone bool) {
	total, ok := s.rest.total(s.buf) // before the containers: what they use meanwhile is not held against those that rest
	all := whole || !ok || !s.rest.known
	var told time.Duration
	for _, c := range s.containers {
		if !all && c.rests() {
			c.skip()
		} else {
			gone = !c.beat(now, length, whole, s.buf) || gone
		}
		told += c.meter.Total()
	}
	for n := 0; !all && total-told-s.rest.base > untold; n++ { // who was read longest ago comes first
		if all = n == len(s.containers); all {
			break // somebody else has used it, who is no container
		}
		s.rest.turn = (s.rest.turn + 1) % len(s.containers)
		if c := s.containers[s.rest.turn]; c.skipped {
			told -= c.meter.Total()
			gone = !c.beat(now, length, whole, s.buf) || gone
			told += c.meter.Total()
		}
	}
	if all {
		s.rest.base, s.rest.known = total-told, ok
	}
	return gone
}

// rests tells whether a container did next to nothing at the last look, and can hardly have been throttled since without
// using as much as would wake it.
func (c *container) rests() bool {
	return c.drowsy && c.group != nil && (c.cores == 0 || c.cores*float64(cgroup.Period) >= float64(minQuota))
}

// skip takes it that nothing happened.
func (c *container) skip() {
	c.sample.Value, c.sample.Has = [len(c.sample.Value)]int64{}, beatSignals
	c.seen, c.skipped = true, true
}
