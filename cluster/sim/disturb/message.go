package disturb

import "foresail.dev/cluster/sim/chance"

// linkRate is the link of a replica that has a machine for itself while a neighbour contends for it: 1 Gbit/s, in bytes/s.
const linkRate = 125e6

// leastMessage is the bytes of a message whose size is not known: one packet.
const leastMessage = 1500

// TCP sends what is lost again after 200 ms, and waits twice as long each time (Linux: TCP_RTO_MIN; tcp_retries2 is 15).
const (
	retransmission = int64(200e6) // ns
	retries        = 15
)

// Astray is how much later a message of so many bytes comes, ns, because it, or what is sent again, is lost, and because a
// neighbour uses the link; and how often it is sent again. It belongs to a call on an edge (-1: of a user) from the replica
// that is harmed by caller to the one that is harmed by callee (nil: not at all). What is drawn comes from own.
func (t *Troubles) Astray(edge int32, callee, caller *Harm, size int64, own chance.Stream) (delay int64, resent int) {
	kept, link := 1.0, 0.0
	for _, h := range [2]*Harm{callee, caller} {
		if h == nil {
			continue
		}
		kept *= 1 - h.loss
		if h.link > 0 {
			link = max(link, float64(max(size, leastMessage))/(linkRate*h.link))
		}
	}
	if edge >= 0 && int(edge) < len(t.edges) {
		kept *= 1 - t.edges[edge]
	}
	if kept < 1 {
		for resent < retries && own.Float() >= kept {
			delay += retransmission << resent
			resent++
		}
	}
	return delay + int64(link*1e9), resent
}
