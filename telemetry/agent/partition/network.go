package partition

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
)

// NetworkShare gives some of what leaves a network device a share of its bandwidth, by the hierarchical token bucket (HTB).
//
// It is about what leaves, since what arrives has used the wire already. What a container receives leaves the node's end
// of its pair of virtual interfaces. Everything that no share names has what is left, and may borrow what nobody uses.
type NetworkShare struct {
	// Namespace is the file of the device's network namespace, for example "/proc/123/ns/net"; empty: the caller's own.
	Namespace string `json:"namespace,omitempty"`
	// Device is the interface, for example "eth0".
	Device string `json:"device"`
	// Capacity is what the device, or the wire behind it, carries, in bytes a second. All shares of a device have the
	// same. Virtual devices have no speed of their own, so it can't be asked for.
	Capacity int64 `json:"capacity"`
	// Name is the share's; letters, digits, ".", "-" and "_".
	Name string `json:"name"`
	// Rate is what it gets where it wants it, in bytes a second. A hundredth of the capacity is always left to the rest.
	Rate int64 `json:"rate"`
	// Most is what it gets where others leave it, in bytes a second; 0: all of the capacity.
	Most int64 `json:"most,omitempty"`
	// Flows are whose packets they are; one that matches any of them is the share's. Where several shares match, the one that
	// was made first has it.
	Flows []Flow `json:"flows"`
}

// Flow names packets by their IP header. What is absent matches everything, but something must be there.
type Flow struct {
	Source          netip.Prefix `json:"source,omitzero"`
	Destination     netip.Prefix `json:"destination,omitzero"`
	SourcePort      uint16       `json:"source_port,omitempty"` // of TCP or UDP; not in later fragments, nor behind IP options
	DestinationPort uint16       `json:"destination_port,omitempty"`
}

// maxShares bounds the shares of a device.
const maxShares = 1000

// Kind is Network.
func (n NetworkShare) Kind() Kind { return Network }

func (n NetworkShare) String() string {
	return fmt.Sprintf("%d bytes a second of %s for %s", n.Rate, n.Device, n.Name)
}

func (n NetworkShare) place() string {
	if n.Namespace == "" {
		return "network " + n.Device
	}
	return "network " + n.Device + " of " + filepath.Clean(n.Namespace)
}

func (n NetworkShare) name() string { return n.Name }

// most is the ceiling, in bytes a second.
func (n NetworkShare) most() int64 {
	if n.Most == 0 {
		return n.Capacity
	}
	return n.Most
}

func (n NetworkShare) check() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("network share %s: %w", n.Name, fmt.Errorf(format, args...)))
	}
	if err := checkName(n.Name); err != nil {
		wrong("name %q: %w", n.Name, err)
	}
	if n.Device == "" || len(n.Device) > 15 {
		wrong("device %q: must be an interface's name", n.Device)
	}
	if n.Namespace != "" && !filepath.IsAbs(n.Namespace) {
		wrong("namespace %q: must be an absolute path", n.Namespace)
	}
	if n.Capacity < 1000 || n.Capacity > math.MaxInt64/16 {
		wrong("capacity %d: must be bytes a second, 1000 or more", n.Capacity)
	}
	if n.Rate < 1000 || n.Rate > n.Capacity {
		wrong("rate %d: must be bytes a second, 1000 to the capacity", n.Rate)
	}
	if n.Most != 0 && (n.Most < n.Rate || n.Most > n.Capacity) {
		wrong("most %d: must be bytes a second, from the rate to the capacity", n.Most)
	}
	if len(n.Flows) == 0 || len(n.Flows) > 100 {
		wrong("flows: must be 1 to 100, has %d", len(n.Flows))
	}
	for i, f := range n.Flows {
		if err := f.check(); err != nil {
			wrong("flows[%d]: %w", i, err)
		}
	}
	return errors.Join(errs...)
}

func (f Flow) check() error {
	var errs []error
	for _, p := range []netip.Prefix{f.Source, f.Destination} {
		if p.IsValid() && p.Addr().Is4In6() {
			errs = append(errs, fmt.Errorf("%s: write it as an IPv4 prefix", p))
		}
	}
	if f.Source.IsValid() && f.Destination.IsValid() && f.Source.Addr().Is4() != f.Destination.Addr().Is4() {
		errs = append(errs, errors.New("source and destination: must both be IPv4 or both IPv6"))
	}
	if f == (Flow{}) {
		errs = append(errs, errors.New("must have a source, destination or port"))
	}
	return errors.Join(errs...)
}

// numbered is a share and the number of its class and filters.
type numbered struct {
	NetworkShare
	Number int `json:"number"` // from 0 on
}

// networkState is a device as it was, and the shares of it.
type networkState struct {
	Inode  uint64     `json:"inode"`  // of the namespace: another may come to have the same path
	Index  int        `json:"index"`  // of the device: another may come to have the same name
	Was    string     `json:"was"`    // the kind of queueing that the kernel had chosen by itself
	Shares []numbered `json:"shares"` //
	Before []numbered `json:"before,omitempty"`
}

func (s *networkState) shares() []Share {
	all := make([]Share, len(s.Shares))
	for i, n := range s.Shares {
		all[i] = n.NetworkShare
	}
	return all
}

func (s *networkState) clone() *networkState {
	next := *s
	next.Before = s.Shares
	next.Shares = append([]numbered(nil), s.Shares...)
	return &next
}

func (s *networkState) over(other state) state {
	next := s.clone()
	if o, ok := other.(*networkState); ok {
		next.Before = o.Shares
	}
	return next
}

func (s *networkState) remove(name string) state {
	next := s.clone()
	next.Shares = next.Shares[:0]
	for _, n := range s.Shares {
		if n.Name != name {
			next.Shares = append(next.Shares, n)
		}
	}
	return next
}

func (s *networkState) add(share Share) (state, error) {
	n, ok := share.(NetworkShare)
	if !ok {
		return nil, fmt.Errorf("%T is no network share", share)
	}
	next := s.clone()
	at, used, sum := -1, map[int]bool{}, n.Rate
	for i, o := range next.Shares {
		used[o.Number] = true
		if o.Name == n.Name {
			at = i
			continue
		}
		sum += o.Rate
		if o.Capacity != n.Capacity {
			return nil, fmt.Errorf("capacity %d of %s: share %s has %d: all shares of a device must have the same", n.Capacity, n.Device, o.Name, o.Capacity)
		}
	}
	if sum > n.Capacity-n.Capacity/100 {
		return nil, fmt.Errorf("all shares of %s together have %d bytes a second of %d, and must leave a hundredth to the rest: lower some", n.Device, sum, n.Capacity)
	}
	if at >= 0 {
		next.Shares[at].NetworkShare = n
		return next, nil
	}
	if len(next.Shares) >= maxShares {
		return nil, fmt.Errorf("%s has %d shares, and may have no more", n.Device, len(next.Shares))
	}
	number := 0
	for used[number] {
		number++
	}
	next.Shares = append(next.Shares, numbered{n, number})
	return next, nil
}
