package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Resctrl is where the file system of Intel's RDT and AMD's QoS is mounted by custom.
const Resctrl = "/sys/fs/resctrl"

// CacheShare gives processes a number of ways of each last-level cache of the node.
//
// Alone, nobody else may fill them: all other groups lose those ways. Not alone, the processes are held to that many ways,
// which others fill too: so a neighbour that streams through memory is kept from the rest of the cache. A way that is taken
// from somebody is not flushed; what lies there is found until others have driven it out.
type CacheShare struct {
	// Root is where resctrl is mounted; empty: Resctrl.
	Root string `json:"root,omitempty"`
	// Name is the share's; letters, digits, ".", "-" and "_".
	Name string `json:"name"`
	// Ways is how many.
	Ways  int  `json:"ways"`
	Alone bool `json:"alone,omitempty"`
	// Processes are those that get them, by number, with the threads they have and will start. They must all be of one
	// group now. Processes that they start afterwards are in it too.
	Processes []int `json:"processes"`
}

// Kind is Cache.
func (c CacheShare) Kind() Kind { return Cache }

func (c CacheShare) String() string {
	alone := ""
	if c.Alone {
		alone = " alone"
	}
	return fmt.Sprintf("%d ways%s of the last-level caches for %s", c.Ways, alone, c.Name)
}

func (c CacheShare) root() string {
	if c.Root == "" {
		return Resctrl
	}
	return filepath.Clean(c.Root)
}

func (c CacheShare) place() string { return "cache " + c.root() }
func (c CacheShare) name() string  { return c.Name }
func (c CacheShare) group() string { return "foresail-" + c.Name }

func (c CacheShare) check() error {
	var errs []error
	if err := checkName(c.Name); err != nil {
		errs = append(errs, fmt.Errorf("cache share: name %q: %w", c.Name, err))
	}
	if c.Ways < 1 || c.Ways > 64 {
		errs = append(errs, fmt.Errorf("cache share %s: ways %d: must be 1 to 64", c.Name, c.Ways))
	}
	if len(c.Processes) == 0 {
		errs = append(errs, fmt.Errorf("cache share %s: processes: must name one or more", c.Name))
	}
	for _, pid := range c.Processes {
		if pid < 1 {
			errs = append(errs, fmt.Errorf("cache share %s: processes: %d is no process", c.Name, pid))
		}
	}
	return errors.Join(errs...)
}

// checkName refuses what is no plain name of a directory.
func checkName(name string) error {
	if name == "" || len(name) > 100 {
		return errors.New("must be of 1 to 100 characters")
	}
	for _, r := range name {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_", r) {
			return errors.New("must be of letters, digits, \".\", \"-\" and \"_\"")
		}
	}
	return nil
}

// Available says whether the file system is there and divides the last-level cache.
func (c CacheShare) Available() error {
	t := openTree(c.root())
	if _, err := t.read("schemata"); err != nil {
		reason := "no resctrl file system is mounted there: the processor has no cache allocation, the kernel has it switched off, or it was never mounted (mount -t resctrl resctrl " + c.root() + ")"
		if !errors.Is(err, fs.ErrNotExist) {
			reason = err.Error()
		}
		return &Unavailable{Cache, c.root(), reason}
	}
	if _, err := t.limits(); err != nil {
		return &Unavailable{Cache, c.root(), err.Error()}
	}
	return nil
}

func (c CacheShare) begin() (state, error) {
	return &cacheState{Root: c.root(), Was: map[string]schemata{}, Origin: map[string]string{}}, nil
}

// cacheState is how the caches were divided.
type cacheState struct {
	Root   string              `json:"root"`
	Was    map[string]schemata `json:"was"`    // of groups that are not ours; "" is the default group
	Origin map[string]string   `json:"origin"` // the group that a share's processes were in, by the share's name
	Shares []CacheShare        `json:"shares"`
	Before []CacheShare        `json:"before,omitempty"` // the shares before the last change, of which some may still be so
}

func (s *cacheState) shares() []Share {
	all := make([]Share, len(s.Shares))
	for i, c := range s.Shares {
		all[i] = c
	}
	return all
}

func (s *cacheState) clone() *cacheState {
	return &cacheState{Root: s.Root, Was: maps.Clone(s.Was), Origin: maps.Clone(s.Origin), Shares: slices.Clone(s.Shares), Before: s.Shares}
}

func (s *cacheState) over(other state) state {
	next := s.clone()
	if o, ok := other.(*cacheState); ok {
		next.Before = o.Shares
		for name, origin := range o.Origin {
			if _, known := next.Origin[name]; !known {
				next.Origin[name] = origin
			}
		}
	}
	return next
}

func (s *cacheState) remove(name string) state {
	next := s.clone()
	next.Shares = slices.DeleteFunc(next.Shares, func(c CacheShare) bool { return c.Name == name })
	return next // Origin stays known, until write has moved the processes
}

func (s *cacheState) add(share Share) (state, error) {
	c, ok := share.(CacheShare)
	if !ok {
		return nil, fmt.Errorf("%T is no cache share", share)
	}
	next, t := s.clone(), openTree(s.Root)
	if err := next.note(t); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(next.Shares, func(o CacheShare) bool { return o.Name == c.Name })
	if i < 0 {
		if _, err := t.read(c.group() + "/schemata"); err == nil {
			return nil, fmt.Errorf("there is a group %s already, of which no record tells: remove it (rmdir), or choose another name", filepath.Join(s.Root, c.group()))
		}
		next.Shares = append(next.Shares, c)
	} else {
		next.Shares[i] = c
	}
	origin, err := t.groupOf(c.Processes, c.group())
	if err != nil {
		return nil, err
	}
	switch known := next.Origin[c.Name]; {
	case i < 0:
		next.Origin[c.Name] = origin
	case origin != c.group() && origin != known:
		return nil, fmt.Errorf("its processes came from %s, and of %v some are in %s: a share's processes must be of one group", groupName(known), c.Processes, groupName(origin))
	}
	_, _, err = next.layout(t, next.Shares)
	return next, err
}

// note reads how groups that are not known yet are set.
func (s *cacheState) note(t tree) error {
	others, err := s.others(t)
	if err != nil {
		return err
	}
	for _, name := range others {
		if _, known := s.Was[name]; known {
			continue
		}
		if s.Was[name], err = t.schemata(name); err != nil {
			return err
		}
		mode, err := t.read(filepath.Join(name, "mode"))
		if err == nil && mode != "shareable" {
			return fmt.Errorf("%s in %s is of mode %s, which somebody else has set: nothing is divided beside it", groupName(name), s.Root, mode)
		}
	}
	return nil
}

// others are the groups that are not ours; "" is the default group.
func (s *cacheState) others(t tree) ([]string, error) {
	names, err := t.groups()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(s.ours(), name) }), nil
}

// ours are the groups that were made here, or may have been.
func (s *cacheState) ours() []string {
	var names []string
	for _, c := range slices.Concat(s.Shares, s.Before) {
		names = append(names, c.group())
	}
	return names
}

// layout is what some shares make of all caches: the schemata of each share, and of each other group.
func (s *cacheState) layout(t tree, shares []CacheShare) (given, left map[string]schemata, err error) {
	limits, err := t.limits()
	if err != nil {
		return nil, nil, err
	}
	requests := make([]request, len(shares))
	for i, c := range shares {
		requests[i] = request{c.group(), c.Ways, c.Alone}
	}
	given, left = map[string]schemata{}, map[string]schemata{}
	set := func(all map[string]schemata, name, resource string, id int, mask uint64) {
		if all[name] == nil {
			all[name] = schemata{}
		}
		if all[name][resource] == nil {
			all[name][resource] = map[int]uint64{}
		}
		all[name][resource][id] = mask
	}
	for resource, w := range limits {
		for id := range s.Was[""][resource] {
			others := map[string]uint64{}
			for name, was := range s.Was {
				others[name] = was[resource][id]
			}
			g, l, err := divide(w, requests, others)
			if err != nil {
				return nil, nil, fmt.Errorf("%s of cache %d: %w", resource, id, err)
			}
			for name, mask := range g {
				set(given, name, resource, id, mask)
			}
			for name, mask := range l {
				set(left, name, resource, id, mask)
			}
		}
	}
	return given, left, nil
}

// write narrows and widens the others, makes the groups of shares and moves processes there, and removes the groups of shares that
// have gone.
func (s *cacheState) write() error {
	t := openTree(s.Root)
	given, left, err := s.layout(t, s.Shares)
	if err != nil {
		return err
	}
	for _, c := range s.Before {
		if !slices.ContainsFunc(s.Shares, func(o CacheShare) bool { return o.Name == c.Name }) {
			if err := t.dissolve(c.group(), s.Origin[c.Name]); err != nil {
				return err
			}
		}
	}
	if _, err := s.setOthers(t, left); err != nil {
		return err
	}
	for _, c := range s.Shares {
		if err := t.make(c.group()); err != nil {
			return err
		}
		if err := t.setSchemata(c.group(), given[c.group()]); err != nil {
			return err
		}
		for _, b := range s.Before {
			if b.Name != c.Name {
				continue
			}
			gone := slices.DeleteFunc(slices.Clone(b.Processes), func(pid int) bool { return slices.Contains(c.Processes, pid) })
			if err := t.release(gone, c.group(), s.Origin[c.Name]); err != nil {
				return err
			}
		}
		if err := t.move(c.Processes, c.group()); err != nil {
			return err
		}
	}
	return nil
}

// setOthers sets groups that are not ours, but for those that somebody else has set in the meantime.
func (s *cacheState) setOthers(t tree, to map[string]schemata) (changed []string, err error) {
	_, a, err := s.layout(t, s.Shares)
	if err != nil {
		return nil, err
	}
	_, b, _ := s.layout(t, s.Before) // none where a group that came since leaves no room for them
	for _, name := range slices.Sorted(maps.Keys(to)) {
		now, err := t.schemata(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the group has gone, and nothing of it can be set
		}
		if err != nil {
			return changed, err
		}
		if now.equal(to[name]) {
			continue
		}
		if !now.among(s.Was[name], a[name], b[name]) {
			changed = append(changed, fmt.Sprintf("ways of %s in %s", groupName(name), s.Root))
			continue
		}
		if err := t.setSchemata(name, to[name]); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

func (s *cacheState) restore() (changed []string, err error) {
	t := openTree(s.Root)
	if _, err := t.read("schemata"); errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it is mounted no more, and all groups are gone with it
	}
	var errs []error
	for _, c := range slices.Concat(s.Shares, s.Before) {
		errs = append(errs, t.dissolve(c.group(), s.Origin[c.Name]))
	}
	changed, err = s.setOthers(t, s.Was)
	return changed, errors.Join(append(errs, err)...)
}
