package access

import (
	"fmt"
	"sync"
	"time"
)

const (
	// window is how long refused attempts are counted together.
	window = time.Minute
	// maxFailures is how many attempts an address may fail in a window before it is told to wait.
	maxFailures = 20
	// maxAddresses bounds what is remembered; all further addresses of a window count as one.
	maxAddresses = 1024
)

// failures count refused attempts by address, over windows that begin with an attempt.
type failures struct {
	log func(string)

	mu    sync.Mutex
	since time.Time
	by    map[string]int
}

// add counts one and reports whether the address has had too many. Of each address, a window logs the first and the one that is too many.
func (f *failures) add(now time.Time, addr, why string) bool {
	host := hostOf(addr)
	f.mu.Lock()
	if f.by == nil || now.Sub(f.since) >= window || now.Before(f.since) {
		f.by, f.since = map[string]int{}, now
	}
	if _, ok := f.by[host]; !ok && len(f.by) >= maxAddresses {
		host = "many addresses"
	}
	f.by[host]++
	n := f.by[host]
	f.mu.Unlock()
	switch n {
	case 1:
		f.log(fmt.Sprintf("refused a request from %s: %s", host, why))
	case maxFailures + 1:
		f.log(fmt.Sprintf("refused %d requests from %s within a minute, the last with %s; no more of them are logged in this minute", n, host, why))
	}
	return n > maxFailures
}
