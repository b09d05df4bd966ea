package partition

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Where fields are in headers of IPv4 and IPv6, in bytes.
var (
	sourceAt      = [2]int32{12, 8}
	destinationAt = [2]int32{16, 24}
	portsAt       = [2]int32{20, 40}
)

// keys are what a packet of one family (0: IPv4, 1: IPv6) must have to be of a flow: 32-bit words at their offsets, under
// masks. It takes one set for each transport that has ports, and none where the flow is of the other family.
func (f Flow) keys(family int) [][]netlink.TcU32Key {
	var keys []netlink.TcU32Key
	for _, p := range []struct {
		netip.Prefix
		at int32
	}{{f.Source, sourceAt[family]}, {f.Destination, destinationAt[family]}} {
		if !p.IsValid() {
			continue
		}
		if p.Addr().Is4() != (family == 0) {
			return nil
		}
		keys = append(keys, prefixKeys(p.Prefix, p.at)...)
	}
	if f.SourcePort == 0 && f.DestinationPort == 0 {
		if len(keys) == 0 { // a prefix of no bits: all of the family
			keys = append(keys, netlink.TcU32Key{})
		}
		return [][]netlink.TcU32Key{keys[:len(keys):len(keys)]}
	}
	var all [][]netlink.TcU32Key
	for _, protocol := range []uint32{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		set := append([]netlink.TcU32Key(nil), keys...)
		if family == 0 {
			set = append(set,
				netlink.TcU32Key{Off: 0, Mask: 0x0f000000, Val: 5 << 24}, // no options, so that ports are where they are looked for
				netlink.TcU32Key{Off: 4, Mask: 0x00001fff},               // the first fragment, or all of it
				netlink.TcU32Key{Off: 8, Mask: 0x00ff0000, Val: protocol << 16})
		} else {
			set = append(set, netlink.TcU32Key{Off: 4, Mask: 0x0000ff00, Val: protocol << 8})
		}
		ports := netlink.TcU32Key{Off: portsAt[family]}
		if f.SourcePort != 0 {
			ports.Mask, ports.Val = 0xffff0000, uint32(f.SourcePort)<<16
		}
		if f.DestinationPort != 0 {
			ports.Mask, ports.Val = ports.Mask|0xffff, ports.Val|uint32(f.DestinationPort)
		}
		set = append(set, ports)
		all = append(all, set[:len(set):len(set)]) // the library sends as many keys as there is room for
	}
	return all
}

// prefixKeys compare an address with a prefix, word by word.
func prefixKeys(p netip.Prefix, at int32) []netlink.TcU32Key {
	var keys []netlink.TcU32Key
	address := p.Masked().Addr().AsSlice()
	for i := 0; i < len(address) && 8*i < p.Bits(); i += 4 {
		mask := ^uint32(0)
		if n := p.Bits() - 8*i; n < 32 {
			mask <<= 32 - n
		}
		keys = append(keys, netlink.TcU32Key{Off: at + int32(i), Mask: mask, Val: binary.BigEndian.Uint32(address[i:])})
	}
	return keys[:len(keys):len(keys)]
}
