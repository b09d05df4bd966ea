package web

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// policy lets the page use its own files and nothing else: no inline script or style, no frame, no foreign address.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// protect sets the security headers, and refuses requests for foreign names (DNS rebinding), requests with bodies where
// none belongs, and changes asked for by other sites.
func protect(next http.Handler, hosts []string) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if !allowedHost(r.Host, hosts) && !askedOverTLS(r) {
			fail(w, http.StatusMisdirectedRequest, "this server doesn't answer for that host: use localhost, an IP address, or allow the name by configuration")
			return
		}
		if err := cross.Check(r); err != nil {
			fail(w, http.StatusForbidden, "refused: the request comes from another site")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// askedOverTLS reports whether a client made its TLS connection for the very name that it asks for now. A browser has
// then checked that the certificate bears that name, which a foreign site that rebinds its own can't have.
func askedOverTLS(r *http.Request) bool {
	return r.TLS != nil && r.TLS.ServerName != "" && strings.EqualFold(r.TLS.ServerName, hostname(r.Host))
}

// hostname is a Host header without its port.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
}

// allowedHost reports whether a Host header names this server in a way that a foreign web site can't: by address, as
// localhost, or by a name that was configured.
func allowedHost(host string, names []string) bool {
	name := hostname(host)
	if name == "localhost" || net.ParseIP(name) != nil {
		return true
	}
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSuffix(n, "."), name) })
}
