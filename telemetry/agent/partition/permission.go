package partition

import (
	"errors"
	"fmt"
)

// Kind is a resource that can be divided.
type Kind string

// The kinds.
const (
	Cache   Kind = "cache"   // ways of the last-level cache
	Network Kind = "network" // bandwidth of a device
	Memory  Kind = "memory"  // a control group's limit
)

// Permission is what whoever owns the node has allowed. Its zero value allows nothing.
type Permission struct {
	by    string
	kinds [3]Kind
}

// Allow makes a permission for some kinds. by says who gave it and where, for example "agent.yaml: partitions.allow", and
// goes into errors and undo records.
func Allow(by string, kinds ...Kind) Permission {
	p := Permission{by: by}
	for _, k := range kinds {
		switch k {
		case Cache:
			p.kinds[0] = k
		case Network:
			p.kinds[1] = k
		case Memory:
			p.kinds[2] = k
		}
	}
	return p
}

// Allows tells whether a kind may be divided.
func (p Permission) Allows(k Kind) bool {
	for _, allowed := range p.kinds {
		if k != "" && allowed == k {
			return true
		}
	}
	return false
}

// ErrForbidden is in the errors of changes that nobody has allowed.
var ErrForbidden = errors.New("not allowed")

// ErrChanged is in the errors of undos that found something changed by somebody else, and left that as it is.
var ErrChanged = errors.New("changed by somebody else in the meantime")

// Unavailable says why this machine can't do something.
type Unavailable struct {
	Kind   Kind
	Where  string // the file, device or group
	Reason string // what is missing
}

func (u *Unavailable) Error() string {
	return fmt.Sprintf("%s partition of %s: unavailable: %s", u.Kind, u.Where, u.Reason)
}
