package bucket

import (
	"fmt"
	"strings"
)

// Name is what a model or a result is found under.
type Name struct {
	Application string
	Kind        string // lower case, in parts: "forecast/madu/n60-m5"
	Service     string // any text; empty: of all services of the application
	Version     string // letters, digits, dots and hyphens; they are listed in the order of bytes
}

// String is for people: "shop/cart forecast/madu/n60-m5 20260131T000000Z-1b2c".
func (n Name) String() string {
	s := n.Application
	if n.Service != "" {
		s += "/" + n.Service
	}
	return fmt.Sprintf("%q %s %s", s, n.Kind, n.Version)
}

const (
	models  = "models/"
	results = "results/"
	claims  = "claims/"

	modelEnd  = ".model"
	resultEnd = ".json"

	ofService = "service" // the part of a key before a service's name
	ofAll     = "shared"

	longest = 200 // bytes of a part, so that it is a file's name everywhere
)

// folder is the part of a key that all versions have in common.
func (n Name) folder() string {
	s := escape(n.Application) + "/" + n.Kind + "/"
	if n.Service == "" {
		return s + ofAll + "/"
	}
	return s + ofService + "/" + escape(n.Service) + "/"
}

func (n Name) model() string  { return models + n.folder() + n.Version + modelEnd }
func (n Name) result() string { return results + n.folder() + n.Version + resultEnd }

func (n Name) check() error {
	switch {
	case n.Application == "":
		return fmt.Errorf("a name in a bucket needs an application")
	case len(escape(n.Application)) > longest || len(escape(n.Service)) > longest:
		return fmt.Errorf("%.40q… is too long for a name in a bucket: at most %d bytes, and three for each that is no letter, digit, dot or hyphen", n.Application+"/"+n.Service, longest)
	case n.Version == "" || len(n.Version) > longest || strings.ContainsFunc(n.Version, func(r rune) bool { return !plain(r) }) || n.Version[0] == '.':
		return fmt.Errorf("the version %q of %s: letters, digits, dots and hyphens are allowed", n.Version, n.Application)
	}
	return checkKind(n.Kind)
}

func checkKind(kind string) error {
	for part := range strings.SplitSeq(kind, "/") {
		if part == "" || len(part) > longest || part[0] == '.' || part == ofService || part == ofAll || strings.ContainsFunc(part, func(r rune) bool { return !plain(r) }) {
			return fmt.Errorf("the kind %q: parts of letters, digits, dots and hyphens with slashes between them are allowed, but no %q or %q", kind, ofService, ofAll)
		}
	}
	return nil
}

// parse reads a key back; false for one that Name never writes, like that of a file that was not finished.
func parse(key, of, end string) (n Name, ok bool) {
	key, ok = strings.CutPrefix(key, of)
	if !ok {
		return Name{}, false
	}
	if key, ok = strings.CutSuffix(key, end); !ok {
		return Name{}, false
	}
	parts := strings.Split(key, "/")
	last := len(parts) - 1
	switch {
	case last >= 4 && parts[last-2] == ofService:
		if n.Service, ok = unescape(parts[last-1]); !ok || n.Service == "" {
			return Name{}, false
		}
		n.Kind = strings.Join(parts[1:last-2], "/")
	case last >= 3 && parts[last-1] == ofAll:
		n.Kind = strings.Join(parts[1:last-1], "/")
	default:
		return Name{}, false
	}
	n.Version = parts[last]
	if n.Application, ok = unescape(parts[0]); !ok || n.check() != nil {
		return Name{}, false
	}
	return n, true
}

// plain runes stand in keys as they are.
func plain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.'
}

// escape writes any text as a part of a key that no store and no file system takes for anything else.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(rune(c)) && (c != '.' || i > 0) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// unescape undoes escape, and nothing else: what escape would have written otherwise is refused.
func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if _, err := fmt.Sscanf(s[i:min(i+3, len(s))], "%%%02X", &c); err != nil {
				return "", false
			}
			i += 2
		}
		b.WriteByte(c)
	}
	out := b.String()
	return out, escape(out) == s
}
