package access

import (
	"fmt"
	"net"
	"strings"
)

// Loopback reports whether an address host:port can be reached from this machine alone.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// CheckListen refuses an address that other machines can reach unless the port has TLS and asks for a token, or
// insecureByName says that it is meant. Loopback addresses are always fine.
func CheckListen(addr string, tls, tokens, insecureByName bool) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("address %q: %w: write it as host:port, for example 127.0.0.1:7420", addr, err)
	}
	if Loopback(addr) || insecureByName || tls && tokens {
		return nil
	}
	var lacks []string
	if !tls {
		lacks = append(lacks, "TLS (security: cert and key)")
	}
	if !tokens {
		lacks = append(lacks, "tokens (security: tokens; make one with 'foresail token new')")
	}
	return fmt.Errorf("address %q can be reached from other machines, and the port lacks %s: "+
		"give that, use a loopback address such as 127.0.0.1, or allow it by name (security: insecure_listen, or --insecure-listen)",
		addr, strings.Join(lacks, " and "))
}
