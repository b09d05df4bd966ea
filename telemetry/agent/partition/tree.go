package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// files is what is asked of a resctrl file system; paths are below its root. Tests put a kernel of their own in its place.
type files interface {
	read(path string) (string, error) // without blanks around
	write(path, text string) error
	mkdir(path string) error
	rmdir(path string) error
	dirs() ([]string, error)            // in the root
	threads(process int) ([]int, error) // of a process; fs.ErrNotExist: it has gone
}

// onDisk is the file system as it is mounted.
type onDisk struct{ root string }

func (d onDisk) read(path string) (string, error)   { return readText(filepath.Join(d.root, path)) }
func (d onDisk) write(path, text string) error      { return writeText(filepath.Join(d.root, path), text) }
func (d onDisk) mkdir(path string) error            { return os.Mkdir(filepath.Join(d.root, path), 0o755) }
func (d onDisk) rmdir(path string) error            { return os.Remove(filepath.Join(d.root, path)) }
func (d onDisk) dirs() ([]string, error)            { return subdirs(d.root) }
func (d onDisk) threads(process int) ([]int, error) { return threadsOf(process) }

func subdirs(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func threadsOf(process int) ([]int, error) {
	names, err := subdirs(fmt.Sprintf("/proc/%d/task", process))
	var all []int
	for _, name := range names {
		if tid, err := strconv.Atoi(name); err == nil {
			all = append(all, tid)
		}
	}
	return all, err
}

// tree is a resctrl file system.
type tree struct {
	root string
	files
}

// openTree is a variable for tests alone.
var openTree = func(root string) tree { return tree{root, onDisk{root}} }

// limits are what the hardware allows, by resource.
func (t tree) limits() (map[string]ways, error) {
	all := map[string]ways{}
	for _, resource := range []string{"L3", "L3CODE", "L3DATA"} {
		text, err := t.read("info/" + resource + "/cbm_mask")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		mask, err := parseMask(text)
		if err != nil || !contiguous(mask) {
			return nil, fmt.Errorf("%s/info/%s/cbm_mask: %q is no mask of ways", t.root, resource, text)
		}
		text, err = t.read("info/" + resource + "/min_cbm_bits")
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > bits.OnesCount64(mask) {
			return nil, fmt.Errorf("%s/info/%s/min_cbm_bits: %q is no number of ways", t.root, resource, text)
		}
		all[resource] = ways{mask, max(n, 1)}
	}
	if len(all) == 0 {
		return nil, errors.New("it does not divide the last-level cache (no info/L3)")
	}
	return all, nil
}

// groups are all groups; "" is the default group.
func (t tree) groups() ([]string, error) {
	names, err := t.dirs()
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "info" || name == "mon_groups" || name == "mon_data" })
	return append([]string{""}, names...), nil
}

func (t tree) schemata(group string) (schemata, error) {
	text, err := t.read(filepath.Join(group, "schemata"))
	if err != nil {
		return nil, err
	}
	s, err := parseSchemata(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(t.root, group, "schemata"), err)
	}
	return s, nil
}

// setSchemata sets a group's ways where they are not so already.
func (t tree) setSchemata(group string, s schemata) error {
	if now, err := t.schemata(group); err == nil && now.equal(s) {
		return nil
	}
	return t.told(t.write(filepath.Join(group, "schemata"), s.String()), "ways %q of %s", strings.TrimSpace(s.String()), groupName(group))
}

// told puts what the kernel says about the last refused call into an error.
func (t tree) told(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	why, _ := t.read("info/last_cmd_status")
	if why != "" && why != "ok" {
		why = " (" + why + ")"
	} else {
		why = ""
	}
	return fmt.Errorf("%s: %w%s", fmt.Sprintf(format, args...), err, why)
}

// make makes a group where there is none.
func (t tree) make(group string) error {
	err := t.mkdir(group)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, syscall.ENOSPC):
		n, _ := t.read("info/L3/num_closids")
		return fmt.Errorf("making %s in %s: %w: the hardware has no more groups (%s in all): undo a share, or remove a group", groupName(group), t.root, err, n)
	}
	return t.told(err, "making %s in %s", groupName(group), t.root)
}

// groupOf is the group that processes are in, but for ours. It fails where they are in several: whoever has put them there
// divides the cache already.
func (t tree) groupOf(processes []int, ours string) (string, error) {
	names, err := t.groups()
	if err != nil {
		return "", err
	}
	in := map[int]string{}
	for _, name := range names {
		text, err := t.read(filepath.Join(name, "tasks"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed in between
		}
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(text) {
			if tid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
				in[tid] = name
			}
		}
	}
	found := map[string]int{}
	alive := false
	for _, pid := range processes {
		tids, err := t.threads(pid)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		for _, tid := range tids {
			if name, ok := in[tid]; ok {
				alive = true
				if name != ours {
					found[name] = tid
				}
			}
		}
	}
	switch {
	case !alive:
		return "", fmt.Errorf("none of the processes %v is there", processes)
	case len(found) > 1:
		return "", fmt.Errorf("the processes %v are in several groups of %s: somebody else divides the cache among them; have them moved to one", processes, t.root)
	}
	for name := range found {
		return name, nil
	}
	return ours, nil
}

// passes bounds how often threads are looked for again that started while others were moved.
const passes = 16

// move moves processes into a group, with threads that start meanwhile.
func (t tree) move(processes []int, group string) error {
	moved := map[int]bool{}
	for range passes {
		fresh := 0
		for _, pid := range processes {
			tids, err := t.threads(pid)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			for _, tid := range tids {
				if moved[tid] {
					continue
				}
				moved[tid] = true
				fresh++
				if err := t.moveThread(tid, group); err != nil {
					return err
				}
			}
		}
		if fresh == 0 {
			return nil
		}
	}
	return fmt.Errorf("the processes %v start threads faster than they can be moved to %s: apply it again", processes, groupName(group))
}

// release moves processes from a group of ours to another, those of their threads that are in it.
func (t tree) release(processes []int, group, to string) error {
	if len(processes) == 0 {
		return nil
	}
	text, err := t.read(filepath.Join(group, "tasks"))
	if err != nil {
		return err
	}
	in := strings.Fields(text)
	for _, pid := range processes {
		tids, err := t.threads(pid)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, tid := range tids {
			if !slices.Contains(in, strconv.Itoa(tid)) {
				continue
			}
			if err := t.moveThread(tid, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// moveThread moves one thread; one that has gone is where it should be.
func (t tree) moveThread(tid int, group string) error {
	err := t.write(filepath.Join(group, "tasks"), strconv.Itoa(tid))
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return t.told(err, "moving thread %d to %s", tid, groupName(group))
}

// dissolve removes a group of ours; who is in it goes back to the group it came from, or to the default group where that has gone.
func (t tree) dissolve(group, origin string) error {
	for range passes {
		text, err := t.read(filepath.Join(group, "tasks"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := t.read(filepath.Join(origin, "tasks")); text == "" || origin == "" || err != nil {
			break // those of a group that is removed go to the default group
		}
		for line := range strings.Lines(text) {
			tid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				return fmt.Errorf("%s: %q is no thread", filepath.Join(t.root, group, "tasks"), line)
			}
			if err := t.moveThread(tid, origin); err != nil {
				return err
			}
		}
	}
	if err := t.rmdir(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t.told(err, "removing %s of %s", groupName(group), t.root)
	}
	return nil
}
