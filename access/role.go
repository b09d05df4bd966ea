package access

import "fmt"

// Role is what somebody may do. The zero Role may do nothing.
type Role uint8

// Read sees everything that is shown. Write sees it too, sends telemetry, and changes what can be changed.
const (
	Read Role = iota + 1
	Write
)

// ParseRole reads the name of a role.
func ParseRole(s string) (Role, error) {
	switch s {
	case "read":
		return Read, nil
	case "write":
		return Write, nil
	}
	return 0, fmt.Errorf("unknown role %q: use read or write", short(s))
}

// String is the role's name.
func (r Role) String() string {
	switch r {
	case Read:
		return "read"
	case Write:
		return "write"
	}
	return "none"
}

// Allows reports whether r may do what needs role need.
func (r Role) Allows(need Role) bool { return r != 0 && need != 0 && r >= need }

// short cuts what is quoted in an error.
func short(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
