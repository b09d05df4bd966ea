package partition

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// pair is two network namespaces with a pair of virtual interfaces between them: "here" sends, "there" receives.
type pair struct{ here, there string } // files of namespaces

const (
	dev      = "fs0"
	capacity = 12_500_000 // bytes a second: 100 Mbit/s
)

func newPair(t testing.TB) pair {
	t.Helper()
	probe := NetworkShare{Device: "lo", Name: "a", Capacity: capacity, Rate: 1000, Flows: []Flow{{SourcePort: 1}}}
	if err := probe.Available(); err != nil {
		t.Skipf("takes CAP_NET_ADMIN and a kernel with HTB: %v", err)
	}
	p := pair{filepath.Join(t.TempDir(), "here"), filepath.Join(t.TempDir(), "there")}
	var err error
	for _, path := range []string{p.here, p.there} {
		offMainThread(func() { err = makeNamespace(path) })
		if err != nil {
			t.Skipf("no network namespace can be made: %v", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	}
	within(t, p.here, func() error {
		there, err := netns.GetFromPath(p.there)
		if err != nil {
			return err
		}
		defer there.Close()
		a := netlink.NewLinkAttrs()
		a.Name = dev
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: dev, PeerNamespace: netlink.NsFd(there)})
	})
	for i, path := range []string{p.here, p.there} {
		within(t, path, func() error {
			link, err := netlink.LinkByName(dev)
			if err != nil {
				return err
			}
			for _, address := range []string{"10.77.0.%d/24", "fd77::%d/64"} {
				a, err := netlink.ParseAddr(fmt.Sprintf(address, i+1))
				if err != nil {
					return err
				}
				a.Flags = unix.IFA_F_NODAD
				if err := netlink.AddrAdd(link, a); err != nil {
					return err
				}
			}
			return netlink.LinkSetUp(link)
		})
	}
	return p
}

// makeNamespace makes one and keeps it by a file.
func makeNamespace(path string) error {
	own, err := netns.Get()
	if err != nil {
		return err
	}
	defer own.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_ = f.Close()
	made, err := netns.New()
	if err != nil {
		return err
	}
	defer made.Close()
	err = unix.Mount(fmt.Sprintf("/proc/self/fd/%d", made), path, "", unix.MS_BIND, "")
	return errors.Join(err, netns.Set(own))
}

// within calls f on a thread in a namespace.
func within(t testing.TB, path string, f func() error) {
	t.Helper()
	var err error
	offMainThread(func() {
		var own, other netns.NsHandle
		if own, err = netns.Get(); err != nil {
			return
		}
		defer own.Close()
		if other, err = netns.GetFromPath(path); err != nil {
			return
		}
		defer other.Close()
		if err = netns.Set(other); err != nil {
			return
		}
		err = f()
		err = errors.Join(err, netns.Set(own))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rates sends to some ports of an address at once, as fast as it goes, and tells for each how many bytes a second
// arrive.
func (p pair) rates(t testing.TB, address string, ports ...int) []float64 {
	t.Helper()
	received := make([]atomic.Int64, len(ports))
	var all sync.WaitGroup
	var closers []io.Closer
	for i, port := range ports {
		at := net.JoinHostPort(address, fmt.Sprint(port))
		var l net.Listener
		var err error
		within(t, p.there, func() error { l, err = net.Listen("tcp", at); return err })
		var c net.Conn
		within(t, p.here, func() error { c, err = net.Dial("tcp", at); return err })
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		closers = append(closers, l, s, c)
		all.Go(func() {
			b := make([]byte, 64<<10)
			for {
				n, err := s.Read(b)
				received[i].Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		all.Go(func() {
			b := make([]byte, 16<<10)
			for {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		})
	}
	<-time.After(300 * time.Millisecond) // until queues are full and bursts are spent
	start, before := time.Now(), make([]int64, len(ports))
	for i := range ports {
		before[i] = received[i].Load()
	}
	<-time.After(700 * time.Millisecond)
	rates := make([]float64, len(ports))
	for i := range ports {
		rates[i] = float64(received[i].Load()-before[i]) / time.Since(start).Seconds()
	}
	for _, c := range closers {
		_ = c.Close()
	}
	all.Wait()
	t.Logf("%s %v: %.0f bytes a second", address, ports, rates)
	return rates
}

// root is the kind and handle of what queues on the device.
func (p pair) root(t testing.TB) string {
	t.Helper()
	d, err := NetworkShare{Namespace: p.here, Device: dev}.open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	kind, handle, err := d.root()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %x", kind, handle)
}

func (p pair) share(name string, rate, most int64, flows ...Flow) NetworkShare {
	return NetworkShare{Namespace: p.here, Device: dev, Capacity: capacity, Name: name, Rate: rate, Most: most, Flows: flows}
}

// measured sends until each port's rate is between its bounds, three times at most: a busy machine may be late once, but
// nothing makes a device send more than it may. Headers are of HTB's rates, and not of what is measured.
func (p pair) measured(t testing.TB, what, address string, ports []int, least, most []float64) {
	t.Helper()
	for try := 1; ; try++ {
		rates, slow := p.rates(t, address, ports...), false
		for i, r := range rates {
			if r > 1.08*most[i] {
				t.Errorf("%s: %.0f bytes a second at port %d, may have %.0f", what, r, ports[i], most[i])
			}
			slow = slow || r < 0.85*least[i]
		}
		if !slow {
			return
		}
		if try == 3 {
			t.Errorf("%s: %.0f bytes a second, must have %.0f", what, rates, least)
			return
		}
	}
}

// Measured between two network namespaces, of IPv4 and IPv6: a neighbour is held to its ceiling; a culprit gets its share
// while others want all; undone, it is as fast as before.
func TestSharesOfADeviceAsMeasured(t *testing.T) {
	p := newPair(t)
	before := p.root(t)
	k := open(t, t.TempDir())
	held := apply(t, k, p.share("neighbour", 1_000_000, 2_500_000, Flow{DestinationPort: 7001}))
	for _, address := range []string{"10.77.0.2", "fd77::2"} {
		p.measured(t, "held, alone", address, []int{7001}, []float64{2_500_000}, []float64{2_500_000})
	}
	p.measured(t, "held, beside the rest", "10.77.0.2", []int{7001, 7002}, []float64{1_000_000, 10_000_000}, []float64{2_500_000, capacity})

	// Another, made beside it: the culprit has three quarters for certain.
	first := apply(t, k, p.share("culprit", 9_000_000, 0, Flow{Destination: netip.MustParsePrefix("10.77.0.2/32"), DestinationPort: 7003}))
	p.measured(t, "the culprit, beside the rest", "10.77.0.2", []int{7003, 7002}, []float64{9_000_000, 2_500_000}, []float64{capacity, capacity})
	if err := errors.Join(held(), first(), held()); err != nil {
		t.Fatal(err)
	}
	if after := p.root(t); after != before {
		t.Errorf("it was %s, and is %s", before, after)
	}
	if free := p.rates(t, "10.77.0.2", 7001)[0]; free < 2*capacity {
		t.Errorf("after the undo: %.0f bytes a second", free)
	}
}

// What the kernel has says that nothing is there twice, nor left.
func (p pair) tc(t testing.TB, what ...string) string {
	t.Helper()
	var out []byte
	within(t, p.here, func() (err error) {
		out, err = exec.Command("tc", append(what, "show", "dev", dev)...).CombinedOutput()
		return err
	})
	return string(out)
}

func TestTheSameNetworkShareAgainChangesNothing(t *testing.T) {
	if _, err := exec.LookPath("tc"); err != nil {
		t.Skip("takes tc of iproute2 as a witness")
	}
	p := newPair(t)
	k := open(t, t.TempDir())
	s := p.share("a", 1_000_000, 0, Flow{DestinationPort: 1}, Flow{Source: netip.MustParsePrefix("fd77::/62")})
	apply(t, k, s)
	apply(t, k, p.share("b", 2_000_000, 0, Flow{DestinationPort: 2}))
	look := func() string { return p.tc(t, "class") + p.tc(t, "filter") }
	before := look()
	if strings.Count(before, "flowid") != 2*2+1+2*2 || strings.Count(before, "class htb") != 4 {
		t.Errorf("it has\n%s", before)
	}
	apply(t, k, s)
	if after := look(); after != before {
		t.Errorf("it had\n%s\nand has\n%s", before, after)
	}
	s.Flows = s.Flows[:1]
	apply(t, k, s)
	if got := look(); strings.Count(got, "flowid") != 2*2+2*2 {
		t.Errorf("changed, it has\n%s", got)
	}
	if err := k.Undo(s); err != nil {
		t.Fatal(err)
	}
	if got := look(); strings.Count(got, "flowid") != 2*2 || strings.Count(got, "class htb") != 3 || !strings.Contains(got, "rate 16Mbit") {
		t.Errorf("without it, there is\n%s", got)
	}
}

func TestACrashLeavesNoQueue(t *testing.T) {
	p := newPair(t)
	before, dir := p.root(t), t.TempDir()
	k := open(t, dir)
	apply(t, k, p.share("a", 1_000_000, 0, Flow{DestinationPort: 1}))
	if p.root(t) == before {
		t.Error("nothing has changed")
	}
	_ = k.Close()
	k = open(t, dir)
	if undone, err := k.Recover(); err != nil || len(undone) != 1 || p.root(t) != before {
		t.Errorf("undone %v, %v; it was %s, and is %s", undone, err, before, p.root(t))
	}
}

func TestAQueueOfSomebodyElseIsTheirs(t *testing.T) {
	p := newPair(t)
	k := open(t, t.TempDir())
	put := func() {
		within(t, p.here, func() error {
			link, err := netlink.LinkByName(dev)
			if err != nil {
				return err
			}
			return netlink.QdiscReplace(&netlink.GenericQdisc{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(7, 0), Parent: netlink.HANDLE_ROOT}, QdiscType: "pfifo"})
		})
	}
	undo := apply(t, k, p.share("a", 1_000_000, 0, Flow{DestinationPort: 1}))
	put()
	if err := undo(); !errors.Is(err, ErrChanged) || p.root(t) != "pfifo 70000" {
		t.Errorf("%v; there is %s", err, p.root(t))
	}
	if _, err := k.Apply(allowAll, p.share("a", 1_000_000, 0, Flow{DestinationPort: 1})); err == nil || !strings.Contains(err.Error(), "somebody has put a queue of kind pfifo (handle 7:)") || p.root(t) != "pfifo 70000" {
		t.Errorf("%v; there is %s", err, p.root(t))
	}
}

func TestNetworkSharesThatCannotBe(t *testing.T) {
	p := newPair(t)
	k := open(t, t.TempDir())
	apply(t, k, p.share("a", 9_000_000, 0, Flow{DestinationPort: 1}))
	before := k.Shares()
	other := p.share("b", 1_000_000, 0, Flow{DestinationPort: 2})
	other.Capacity *= 2
	for _, c := range []struct {
		share NetworkShare
		want  string
	}{
		{p.share("b", 3_400_000, 0, Flow{DestinationPort: 2}), "must leave a hundredth to the rest"},
		{other, "all shares of a device must have the same"},
	} {
		if _, err := k.Apply(allowAll, c.share); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want an error with %q, got %v", c.want, err)
		}
	}
	if after := k.Shares(); len(after) != len(before) {
		t.Errorf("it has %v", after)
	}
	gone := p.share("b", 1_000_000, 0, Flow{DestinationPort: 2})
	gone.Device = "nosuch"
	var u *Unavailable
	if _, err := k.Apply(allowAll, gone); !errors.As(err, &u) || !strings.Contains(err.Error(), "no device nosuch") {
		t.Error(err)
	}
}

func TestADeviceThatIsGoneHasNothingToUndo(t *testing.T) {
	p := newPair(t)
	k := open(t, t.TempDir())
	undo := apply(t, k, p.share("a", 1_000_000, 0, Flow{DestinationPort: 1}))
	within(t, p.here, func() error {
		link, err := netlink.LinkByName(dev)
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	})
	if err := undo(); err != nil {
		t.Error(err)
	}
}

// Filters match what a flow says: packets made at random against the flow's own words.
func TestKeysAgainstWhatAFlowSays(t *testing.T) {
	prefix := func(t *rapid.T, name string, family int) netip.Prefix {
		if rapid.Bool().Draw(t, name+" absent") {
			return netip.Prefix{}
		}
		b := rapid.SliceOfN(rapid.ByteMax(3), 4+12*family, 4+12*family).Draw(t, name)
		a, _ := netip.AddrFromSlice(b)
		return netip.PrefixFrom(a, rapid.IntRange(0, 8*len(b)).Draw(t, name+" bits"))
	}
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.IntRange(0, 1).Draw(t, "family")
		port := func(name string) uint16 { return uint16(rapid.IntRange(0, 2).Draw(t, name)) }
		f := Flow{prefix(t, "source", family), prefix(t, "destination", family), port("source port"), port("destination port")}
		if f.check() != nil {
			t.Skip()
		}
		of := rapid.IntRange(0, 1).Draw(t, "packet's family")
		address := func(name string) netip.Addr {
			a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.ByteMax(3), 4+12*of, 4+12*of).Draw(t, name))
			return a
		}
		source, destination := address("from"), address("to")
		protocol := rapid.SampledFrom([]byte{1, 6, 17}).Draw(t, "protocol")
		from, to := uint16(rapid.IntRange(1, 2).Draw(t, "from port")), uint16(rapid.IntRange(1, 2).Draw(t, "to port"))
		fragment := of == 0 && rapid.IntRange(0, 5).Draw(t, "fragment") == 0
		packet := make([]byte, 20)
		packet[0], packet[9] = 0x45, protocol
		if fragment {
			packet[7] = 9
		}
		copy(packet[12:], source.AsSlice())
		if of == 0 {
			copy(packet[16:], destination.AsSlice())
		} else {
			packet = append([]byte{0x60, 0, 0, 0, 0, 8, protocol, 64}, append(source.AsSlice(), destination.AsSlice()...)...)
		}
		packet = append(packet, byte(from>>8), byte(from), byte(to>>8), byte(to))

		matches := func(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }
		want := matches(f.Source, source) && matches(f.Destination, destination)
		if f.SourcePort != 0 || f.DestinationPort != 0 {
			want = want && protocol != 1 && !fragment && (f.SourcePort == 0 || f.SourcePort == from) && (f.DestinationPort == 0 || f.DestinationPort == to)
		}
		got := false
		for _, keys := range f.keys(of) {
			all := true
			for _, key := range keys {
				word := uint32(0)
				for _, b := range packet[key.Off : key.Off+4] {
					word = word<<8 | uint32(b)
				}
				all = all && word&key.Mask == key.Val
			}
			got = got || all
		}
		if got != want {
			t.Fatalf("%+v: matches %t, should %t", f, got, want)
		}
	})
}
