package otlp

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
)

// refuseForeign keeps web pages out. A page of another site says so in Origin; one that rebound its own name to this
// machine's address names itself in Host too, so without AllowRemote a Host must be an address or
// localhost, unless the port has TLS and tokens, of which no such page has one.
func (r *Receiver) refuseForeign(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		text := ""
		switch {
		case !r.cfg.AllowRemote && (r.cfg.TLS == nil || r.cfg.Tokens == nil) && !localName(req.Host):
			text = "this port doesn't answer for that host: use localhost or an IP address, or allow remote senders"
		case !sameOrigin(req):
			text = "refused: the request comes from a web page of another site"
		default:
			next.ServeHTTP(w, req)
			return
		}
		r.stats.foreign.Add(1)
		fail(w, typeOf(req), &failure{http.StatusForbidden, codes.PermissionDenied, text})
	})
}

// localName tells whether a Host header is an IP address or localhost.
func localName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil
}

// sameOrigin tells whether each Origin header, of which there is usually none, names the host that was asked.
func sameOrigin(req *http.Request) bool {
	for _, origin := range req.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, req.Host) {
			return false
		}
	}
	return true
}
