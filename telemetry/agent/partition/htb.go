package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"runtime"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// What is ours on a device is known by its handle. The class top holds the device to its capacity; rest and shares are
// below it.
const (
	major      = 0xf0e5
	top        = 1
	rest       = 2
	firstShare = 16
)

func class(minor int) uint32 { return netlink.MakeHandle(major, uint16(minor)) }

// device is one interface, open for changes.
type device struct {
	h     *netlink.Handle
	link  netlink.Link
	inode uint64 // of its namespace
}

// open opens the share's device. The error is an fs.ErrNotExist where its namespace or the device itself has gone.
func (n NetworkShare) open() (*device, error) {
	path := n.Namespace
	if path == "" {
		path = "/proc/thread-self/ns/net"
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	d := &device{inode: inode(info)}
	offMainThread(func() { d.h, err = netlink.NewHandleAt(netns.NsHandle(f.Fd()), unix.NETLINK_ROUTE) })
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", path, err)
	}
	if d.link, err = d.h.LinkByName(n.Device); err != nil {
		d.close()
		var none netlink.LinkNotFoundError
		if errors.As(err, &none) {
			return nil, fmt.Errorf("no device %s: %w", n.Device, fs.ErrNotExist)
		}
		return nil, fmt.Errorf("device %s: %w", n.Device, err)
	}
	return d, nil
}

func (d *device) close() { d.h.Close() }

// offMainThread calls f in a goroutine of its own, on a thread that nobody else uses meanwhile and that is not the
// process's first. Threads that enter another network namespace for a moment must not be the first: /proc/self shows everybody
// that one's.
func offMainThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if unix.Gettid() == unix.Getpid() {
			offMainThread(f) // this goroutine keeps the first thread meanwhile
			return
		}
		f()
	}()
	<-done
}

// root is what queues on the device: its kind, and whether somebody has chosen it.
func (d *device) root() (kind string, handle uint32, err error) {
	all, err := d.h.QdiscList(d.link)
	if err != nil {
		return "", 0, fmt.Errorf("qdiscs of %s: %w", d.link.Attrs().Name, err)
	}
	for _, q := range all {
		if a := q.Attrs(); a.Parent == netlink.HANDLE_ROOT {
			return q.Type(), a.Handle, nil
		}
	}
	return "", 0, nil
}

func ours(kind string, handle uint32) bool {
	return kind == "htb" && handle == netlink.MakeHandle(major, 0)
}

// Available says whether this process may configure the device's namespace and the kernel has HTB and its u32 filters. It
// finds out in a network namespace of its own, so that nothing of the node is touched.
func (n NetworkShare) Available() error {
	no := func(format string, args ...any) error {
		return &Unavailable{Network, n.Device, fmt.Sprintf(format, args...)}
	}
	var caps [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &caps[0]); err == nil && caps[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return no("this process lacks CAP_NET_ADMIN")
	}
	d, err := n.open()
	if err != nil {
		return no("%v", err)
	}
	defer d.close()
	if d.link.Attrs().TxQLen == 0 {
		return no("its transmit queue has no length, which would drop all but one packet: set one (ip link set dev %s txqueuelen 1000)", n.Device)
	}
	if err := kernelHas(); err != nil {
		return no("%v", err)
	}
	return nil
}

// kernelHas tries HTB and u32 out on the loopback of an empty namespace. Where none may be made, nothing is known yet.
func kernelHas() (err error) {
	offMainThread(func() {
		own, e := netns.Get()
		if e != nil {
			return
		}
		defer own.Close()
		apart, e := netns.New()
		if e != nil {
			return
		}
		defer apart.Close()
		if e := netns.Set(own); e != nil {
			runtime.LockOSThread() // once more than it is unlocked: the thread ends with its goroutine
		}
		h, e := netlink.NewHandleAt(apart, unix.NETLINK_ROUTE)
		if e != nil {
			return
		}
		defer h.Close()
		lo, e := h.LinkByName("lo")
		if e != nil {
			return
		}
		d := &device{h: h, link: lo}
		if e := h.QdiscAdd(d.qdisc()); e != nil {
			err = fmt.Errorf("the kernel makes no HTB queue (sch_htb): %w", e)
			return
		}
		if e := h.ClassReplace(d.class(0, top, 1e6, 1e6)); e != nil {
			err = fmt.Errorf("the kernel makes no class of HTB (sch_htb): %w", e)
			return
		}
		for _, f := range d.filters(numbered{NetworkShare{Flows: []Flow{{SourcePort: 1}}}, 0})[:1] {
			if e := h.FilterAdd(f); e != nil {
				err = fmt.Errorf("the kernel makes no u32 filter (cls_u32): %w", e)
			}
		}
	})
	return err
}

func (n NetworkShare) begin() (state, error) {
	d, err := n.open()
	if err != nil {
		return nil, err
	}
	defer d.close()
	kind, handle, err := d.root()
	if err != nil {
		return nil, err
	}
	if handle != 0 {
		return nil, fmt.Errorf("somebody has put a queue of kind %s (handle %x:) on %s, which could not be brought back as it is: remove it (tc qdisc del dev %s root), or divide there", kind, handle>>16, n.Device, n.Device)
	}
	return &networkState{Inode: d.inode, Index: d.link.Attrs().Index, Was: kind}, nil
}

func (d *device) qdisc() *netlink.Htb {
	q := netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: d.link.Attrs().Index, Handle: netlink.MakeHandle(major, 0), Parent: netlink.HANDLE_ROOT})
	q.Defcls = rest
	return q
}

// class is one class; rates are bytes a second.
func (d *device) class(parent, minor int, rate, most int64) *netlink.HtbClass {
	a := netlink.ClassAttrs{LinkIndex: d.link.Attrs().Index, Handle: class(minor), Parent: class(parent)}
	// What a class may send in its turn while several borrow: in proportion to its rate, from a packet's size to what the
	// kernel thinks large.
	quantum := uint32(min(max(rate/100, 1600), 60_000))
	return netlink.NewHtbClass(a, netlink.HtbClassAttrs{Rate: bitRate(rate), Ceil: bitRate(most), Quantum: quantum})
}

// bitRate is a rate in bits a second. Rates of 2^32 bytes a second, and multiples, lose a byte: of those the kernel's older
// field would be zero.
func bitRate(rate int64) uint64 {
	if rate%(1<<32) == 0 {
		rate--
	}
	return uint64(rate) * 8
}

// priority is that of a share's filters, for IPv4 or IPv6.
func priority(number, family int) uint16 { return uint16(100 + 2*number + family) }

var protocols = [2]uint16{unix.ETH_P_IP, unix.ETH_P_IPV6}

// filters put the packets of a share's flows into its class.
func (d *device) filters(n numbered) []*netlink.U32 {
	var all []*netlink.U32
	for _, f := range n.Flows {
		for family := range 2 {
			for _, keys := range f.keys(family) {
				all = append(all, &netlink.U32{
					FilterAttrs: netlink.FilterAttrs{LinkIndex: d.link.Attrs().Index, Parent: netlink.MakeHandle(major, 0), Priority: priority(n.Number, family), Protocol: protocols[family]},
					ClassId:     class(firstShare + n.Number),
					Sel:         &netlink.TcU32Sel{Flags: nl.TC_U32_TERMINAL, Keys: keys},
				})
			}
		}
	}
	return all
}

// write makes the queue where there is none, then classes, then filters; those of shares that have gone go first.
func (s *networkState) write() error {
	n := s.Shares[0].NetworkShare
	d, err := n.open()
	if err != nil {
		return err
	}
	defer d.close()
	if d.inode != s.Inode || d.link.Attrs().Index != s.Index {
		return fmt.Errorf("%s is another device than when it was divided first: undo its shares, then make them anew", n.Device)
	}
	kind, handle, err := d.root()
	if err != nil {
		return err
	}
	if !ours(kind, handle) {
		if handle != 0 {
			return fmt.Errorf("%w: a queue of kind %s (handle %x:) is on %s", ErrChanged, kind, handle>>16, n.Device)
		}
		if err := d.h.QdiscAdd(d.qdisc()); err != nil {
			return fmt.Errorf("putting an HTB queue on %s: %w", n.Device, err)
		}
	}
	have, err := d.h.FilterList(d.link, netlink.MakeHandle(major, 0))
	if err != nil {
		return fmt.Errorf("filters of %s: %w", n.Device, err)
	}
	for _, b := range s.Before {
		if !slices.ContainsFunc(s.Shares, func(o numbered) bool { return o.Number == b.Number }) {
			if err := d.dropFilters(b.Number, have); err != nil {
				return err
			}
			c := d.class(top, firstShare+b.Number, b.Rate, b.most())
			if err := d.h.ClassDel(c); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("removing the class of %s from %s: %w", b.Name, n.Device, err)
			}
		}
	}
	left := n.Capacity
	for _, o := range s.Shares {
		left -= o.Rate
	}
	classes := []*netlink.HtbClass{d.class(0, top, n.Capacity, n.Capacity), d.class(top, rest, left, n.Capacity)}
	for _, o := range s.Shares {
		classes = append(classes, d.class(top, firstShare+o.Number, o.Rate, o.most()))
	}
	for _, c := range classes {
		if err := d.h.ClassReplace(c); err != nil {
			return fmt.Errorf("class %x of %s: %w", c.Handle, n.Device, err)
		}
	}
	for _, o := range s.Shares {
		if err := d.setFilters(o, s.Before, have); err != nil {
			return err
		}
	}
	return nil
}

// setFilters makes a share's filters anew, unless they are as they should be: while they are changed its packets count as the
// rest's.
func (d *device) setFilters(n numbered, before []numbered, have []netlink.Filter) error {
	want := d.filters(n)
	same := slices.ContainsFunc(before, func(b numbered) bool { return b.Number == n.Number && reflect.DeepEqual(b.Flows, n.Flows) })
	if same && len(d.filtersOf(n.Number, have)) == len(want) {
		return nil
	}
	if err := d.dropFilters(n.Number, have); err != nil {
		return err
	}
	for _, f := range want {
		if err := d.h.FilterAdd(f); err != nil {
			return fmt.Errorf("a filter of %s on %s: %w", n.Name, n.Device, err)
		}
	}
	return nil
}

func (d *device) filtersOf(number int, have []netlink.Filter) []netlink.Filter {
	var all []netlink.Filter
	for _, f := range have {
		if p := f.Attrs().Priority; p == priority(number, 0) || p == priority(number, 1) {
			all = append(all, f)
		}
	}
	return all
}

func (d *device) dropFilters(number int, have []netlink.Filter) error {
	dropped := map[uint16]bool{}
	for _, f := range d.filtersOf(number, have) {
		a := *f.Attrs()
		if dropped[a.Priority] {
			continue
		}
		dropped[a.Priority] = true
		a.Handle = 0 // all of this priority
		if err := d.h.FilterDel(&netlink.U32{FilterAttrs: a}); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("removing filters from %s: %w", d.link.Attrs().Name, err)
		}
	}
	return nil
}

// restore removes the queue; the kernel then puts back what it had chosen by itself.
func (s *networkState) restore() (changed []string, err error) {
	n := s.Shares[0].NetworkShare
	d, err := n.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // namespace or device have gone, and all of it with them
	}
	if err != nil {
		return nil, err
	}
	defer d.close()
	if d.inode != s.Inode || d.link.Attrs().Index != s.Index {
		return nil, nil
	}
	kind, handle, err := d.root()
	if err != nil {
		return nil, err
	}
	if !ours(kind, handle) {
		if handle != 0 {
			return []string{fmt.Sprintf("the queue of %s, which is of kind %s (handle %x:)", n.Device, kind, handle>>16)}, nil
		}
		return nil, nil
	}
	if err := d.h.QdiscDel(d.qdisc()); err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("removing the HTB queue from %s: %w", n.Device, err)
	}
	if kind, _, err = d.root(); err == nil && kind != s.Was {
		return []string{fmt.Sprintf("the kernel's own choice of queue for %s, which was %s and is %s (net.core.default_qdisc)", n.Device, s.Was, kind)}, nil
	}
	return nil, err
}
