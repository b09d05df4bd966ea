package agent

import "hash/maphash"

// traffic stands for what has crossed all interfaces of a network namespace, its loopback among them, since it was made:
// while it is the same, no packet has come or gone. Without a packet no connection begins, ends or gets bytes, and no
// answer goes. 0: not known.
type traffic uint64

var trafficSeed = maphash.MakeSeed()

// trafficOf digests /proc/net/dev. The kernel gives at most a page of it at once: where that may not be all, it tells
// nothing.
func trafficOf(text []byte) traffic {
	const page, line = 4096, 256
	if len(text) == 0 || len(text) > page-line {
		return 0
	}
	return traffic(max(maphash.Bytes(trafficSeed, text), 1))
}
