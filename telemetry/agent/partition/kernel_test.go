package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/bits"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// kernel is a resctrl file system as Documentation/filesystems/resctrl.rst has it, with caches of 20 ways: it refuses
// what the hardware can't do, moves threads, and tells why it refused.
type kernel struct {
	all       uint64
	fewest    int
	most      int // groups
	caches    []int
	code      bool // code and data are told apart
	ways      map[string]map[string]map[int]uint64
	tasks     map[int]string // by thread
	processes map[int][]int  // threads of
	modes     map[string]string
	status    string
	calls     int
	refuse    func(call int, what string) error // faults on purpose, of calls that change something
}

func newKernel() *kernel {
	k := &kernel{all: 0xfffff, fewest: 1, most: 16, caches: []int{0, 1}, status: "ok", tasks: map[int]string{}, processes: map[int][]int{},
		ways: map[string]map[string]map[int]uint64{}, modes: map[string]string{}}
	k.group("", k.all)
	for pid := 100; pid < 106; pid++ {
		k.start(pid, "", 3)
	}
	return k
}

func (k *kernel) resources() []string {
	if k.code {
		return []string{"L3CODE", "L3DATA"}
	}
	return []string{"L3"}
}

func (k *kernel) group(name string, mask uint64) {
	k.modes[name] = "shareable"
	k.ways[name] = map[string]map[int]uint64{}
	for _, r := range k.resources() {
		k.ways[name][r] = map[int]uint64{}
		for _, id := range k.caches {
			k.ways[name][r][id] = mask
		}
	}
}

func (k *kernel) start(pid int, group string, threads int) {
	for i := range threads {
		tid := pid*10 + i
		k.processes[pid] = append(k.processes[pid], tid)
		k.tasks[tid] = group
	}
}

// picture is everything that can be seen, to be compared.
func (k *kernel) picture() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(k.ways)) {
		fmt.Fprintf(&b, "%q %s\n", name, k.schemata(name))
	}
	for _, tid := range slices.Sorted(maps.Keys(k.tasks)) {
		fmt.Fprintf(&b, "%d %q\n", tid, k.tasks[tid])
	}
	return b.String()
}

func (k *kernel) schemata(group string) string {
	var b strings.Builder
	b.WriteString("    MB:0=100;1=100\n")
	for _, r := range k.resources() {
		parts := []string{}
		for _, id := range k.caches {
			parts = append(parts, fmt.Sprintf("%d=%05x", id, k.ways[group][r][id]))
		}
		fmt.Fprintf(&b, "%6s:%s\n", r, strings.Join(parts, ";"))
	}
	return b.String()
}

func (k *kernel) read(p string) (string, error) {
	dir, file := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	if r, ok := strings.CutPrefix(dir, "info/"); ok && slices.Contains(k.resources(), r) {
		switch file {
		case "cbm_mask":
			return fmt.Sprintf("%x", k.all), nil
		case "min_cbm_bits":
			return strconv.Itoa(k.fewest), nil
		case "num_closids":
			return strconv.Itoa(k.most), nil
		}
	}
	if p == "info/last_cmd_status" {
		return k.status, nil
	}
	if k.ways[dir] == nil {
		return "", &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	switch file {
	case "schemata":
		return strings.TrimSpace(k.schemata(dir)), nil
	case "mode":
		return k.modes[dir], nil
	case "tasks":
		var all []string
		for _, tid := range slices.Sorted(maps.Keys(k.tasks)) {
			if k.tasks[tid] == dir {
				all = append(all, strconv.Itoa(tid))
			}
		}
		return strings.Join(all, "\n"), nil
	}
	return "", &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
}

func (k *kernel) change(what string) error {
	k.calls++
	if k.refuse != nil {
		return k.refuse(k.calls, what)
	}
	return nil
}

func (k *kernel) write(p, text string) error {
	if err := k.change("write " + p + " " + text); err != nil {
		return err
	}
	dir, file := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	if k.ways[dir] == nil {
		return &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	if file == "tasks" {
		tid, err := strconv.Atoi(text)
		if _, ok := k.tasks[tid]; err != nil || !ok {
			return syscall.ESRCH
		}
		k.tasks[tid] = dir
		return nil
	}
	for line := range strings.Lines(text) {
		r, list, _ := strings.Cut(strings.TrimSpace(line), ":")
		for part := range strings.SplitSeq(list, ";") {
			id, hex, _ := strings.Cut(part, "=")
			n, e1 := strconv.Atoi(id)
			m, e2 := strconv.ParseUint(hex, 16, 64)
			_, known := k.ways[dir][r][n]
			if e1 != nil || e2 != nil || !known || m&^k.all != 0 || !k.oneRun(m) || bits.OnesCount64(m) < k.fewest {
				k.status = "Mask " + hex + " out of range or not one run"
				return syscall.EINVAL
			}
			k.ways[dir][r][n] = m
		}
	}
	k.status = "ok"
	return nil
}

// oneRun shifts out what is not of the run.
func (k *kernel) oneRun(m uint64) bool {
	if m == 0 {
		return false
	}
	for m&1 == 0 {
		m >>= 1
	}
	for m&1 == 1 {
		m >>= 1
	}
	return m == 0
}

func (k *kernel) mkdir(p string) error {
	if err := k.change("mkdir " + p); err != nil {
		return err
	}
	if k.ways[p] != nil {
		return fs.ErrExist
	}
	if len(k.ways) >= k.most {
		return syscall.ENOSPC
	}
	k.group(p, k.all)
	return nil
}

func (k *kernel) rmdir(p string) error {
	if err := k.change("rmdir " + p); err != nil {
		return err
	}
	if k.ways[p] == nil {
		return fs.ErrNotExist
	}
	delete(k.ways, p)
	delete(k.modes, p)
	for tid, group := range k.tasks {
		if group == p {
			k.tasks[tid] = ""
		}
	}
	return nil
}

func (k *kernel) dirs() ([]string, error) {
	all := []string{"info", "mon_data", "mon_groups"}
	for name := range k.ways {
		if name != "" {
			all = append(all, name)
		}
	}
	return all, nil
}

func (k *kernel) threads(pid int) ([]int, error) {
	if t := k.processes[pid]; t != nil {
		return t, nil
	}
	return nil, fs.ErrNotExist
}

// mount has everybody who opens root see this kernel.
func (k *kernel) mount(t *testing.T) (root string) {
	root = t.TempDir()
	before := openTree
	openTree = func(r string) tree {
		if r == root {
			return tree{r, k}
		}
		return before(r)
	}
	t.Cleanup(func() { openTree = before })
	return root
}

var errRefused = errors.New("refused on purpose")
