package insight

// lost is how many seconds, summed over requests, a resource made them wait.
type lost struct {
	resource string
	seconds  float64
}

// lost is what the counters of a service tell of the time that its requests lost to each resource beyond normal; normal may be nil. A service
// that is throttled, or under pressure, for a share of the time makes all that work in it wait for that share.
func (s *stay) lost(normal *stay) []lost {
	if normal == nil {
		normal = &stay{}
	}
	beyond := func(part, whole, normalPart, normalWhole float64) float64 {
		now, ok := share(part, whole)
		if !ok {
			return 0
		}
		was, _ := share(normalPart, normalWhole)
		return max(now-was, 0)
	}
	working := s.working()
	throttled := beyond(s.throttled, s.replicas, normal.throttled, normal.replicas) * working
	pressed := beyond(s.cpuPressure, s.pressed, normal.cpuPressure, normal.pressed) * working
	reclaim := beyond(s.memPressure, s.pressed, normal.memPressure, normal.pressed) * working
	disk, network := 0.0, 0.0
	if s.ioSeconds > 0 {
		disk = beyond(s.ioWait, s.arrivals, normal.ioWait, normal.arrivals) * s.arrivals
	}
	if s.netSeconds > 0 {
		network = beyond(s.retransmits, s.arrivals, normal.retransmits, normal.arrivals) * s.arrivals * retransmit
	}
	return []lost{{"cpu", max(throttled, pressed)}, {"memory", reclaim}, {"disk", disk}, {"network", network}}
}

// resource is the one that accounts for most of the excess, and for at least a quarter of it; else CPU or memory that is used up; empty where counters don't tell.
func (s *stay) resource(normal *stay, excess float64) string {
	best := lost{}
	for _, l := range s.lost(normal) {
		if l.seconds > best.seconds {
			best = l
		}
	}
	if best.seconds > 0 && best.seconds >= quarter*excess {
		return best.resource
	}
	if u, ok := share(s.cpu, s.held); ok && u >= nearLimit {
		return "cpu"
	}
	if u, ok := share(s.memory, s.memoryLimit); ok && u >= nearLimit {
		return "memory"
	}
	return ""
}
