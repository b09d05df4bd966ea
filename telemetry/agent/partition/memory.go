package partition

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"foresail.dev/telemetry/agent/cgroup"
)

// MemoryLimit is a control group's limit of memory: memory.limit_in_bytes with version 1, memory.max with version 2.
//
// A limit below what the group holds and can't give back at once is refused, when it is made and when it is taken back:
// with version 2 the kernel would kill a process of the group rather than refuse.
type MemoryLimit struct {
	// Group is the group's directory where the memory controller is mounted, for example
	// "/sys/fs/cgroup/memory/kubepods/pod1/app".
	Group string `json:"group"`
	// Bytes is the limit. The kernel rounds it down to whole pages.
	Bytes int64 `json:"bytes"`
}

// Kind is Memory.
func (m MemoryLimit) Kind() Kind { return Memory }

func (m MemoryLimit) String() string {
	return fmt.Sprintf("limit of %d bytes of memory for %s", m.Bytes, m.Group)
}

func (m MemoryLimit) place() string { return "memory " + filepath.Clean(m.Group) }
func (m MemoryLimit) name() string  { return "limit" }

func (m MemoryLimit) check() error {
	var errs []error
	if !filepath.IsAbs(m.Group) {
		errs = append(errs, fmt.Errorf("memory limit: group %q: must be an absolute path of a control group's directory", m.Group))
	}
	if page := int64(os.Getpagesize()); m.Bytes < page {
		errs = append(errs, fmt.Errorf("memory limit of %s: bytes %d: must be a page (%d) or more", m.Group, m.Bytes, page))
	}
	return errors.Join(errs...)
}

// limitFile is the control file, by version.
var limitFile = [3]string{1: "memory.limit_in_bytes", 2: "memory.max"}

// version is the control group's; 0: it is none with a memory controller.
func (m MemoryLimit) version() int {
	for v := 2; v >= 1; v-- {
		if _, err := os.Stat(filepath.Join(m.Group, limitFile[v])); err == nil {
			return v
		}
	}
	return 0
}

// Available says whether the group is there and has a limit that may be written.
func (m MemoryLimit) Available() error {
	v := m.version()
	if v == 0 {
		reason := "it has no " + limitFile[2] + " and no " + limitFile[1] + ": the memory controller is not enabled there, or it is the root"
		if _, err := os.Stat(m.Group); err != nil {
			reason = "there is no such group"
		}
		return &Unavailable{Memory, m.Group, reason}
	}
	// Opened and not written: opening changes nothing.
	f, err := os.OpenFile(filepath.Join(m.Group, limitFile[v]), os.O_WRONLY, 0)
	if err != nil {
		return &Unavailable{Memory, m.Group, err.Error()}
	}
	return f.Close()
}

func (m MemoryLimit) begin() (state, error) {
	info, err := os.Stat(m.Group)
	if err != nil {
		return nil, err
	}
	st := &memoryState{Inode: inode(info)}
	st.Was, err = readText(filepath.Join(m.Group, limitFile[m.version()]))
	return st, err
}

// memoryState is the limit as it was.
type memoryState struct {
	Inode uint64       `json:"inode"` // of the group: another of the same path is another
	Was   string       `json:"was"`   // the limit, as the kernel wrote it
	Made  []int64      `json:"made"`  // limits that may be there now, in bytes as asked for
	Limit *MemoryLimit `json:"limit,omitempty"`
}

func (s *memoryState) add(share Share) (state, error) {
	m, ok := share.(MemoryLimit)
	if !ok {
		return nil, fmt.Errorf("%T is no memory limit", share)
	}
	if err := m.fits(m.Bytes); err != nil {
		return nil, err
	}
	next := &memoryState{Inode: s.Inode, Was: s.Was, Limit: &m, Made: []int64{m.Bytes}}
	if s.Limit != nil && s.Limit.Bytes != m.Bytes {
		next.Made = append(next.Made, s.Limit.Bytes)
	}
	return next, nil
}

func (s *memoryState) remove(string) state {
	return &memoryState{Inode: s.Inode, Was: s.Was, Made: s.Made}
}

func (s *memoryState) over(other state) state {
	next := *s
	if o, ok := other.(*memoryState); ok {
		next.Made = append(slices.Clone(s.Made), o.Made...)
	}
	return &next
}

func (s *memoryState) shares() []Share {
	if s.Limit == nil {
		return nil
	}
	return []Share{*s.Limit}
}

func (s *memoryState) write() error {
	return s.Limit.set(strconv.FormatInt(s.Limit.Bytes, 10))
}

func (s *memoryState) restore() (changed []string, err error) {
	m := *s.Limit
	info, err := os.Stat(m.Group)
	if errors.Is(err, fs.ErrNotExist) || err == nil && inode(info) != s.Inode {
		return nil, nil // the group has gone, and its limit with it
	}
	if err != nil {
		return nil, err
	}
	now, err := readText(filepath.Join(m.Group, limitFile[m.version()]))
	if err != nil {
		return nil, err
	}
	if now == s.Was {
		return nil, nil
	}
	if !s.made(now) {
		return []string{fmt.Sprintf("the limit of %s, which is %s", m.Group, now)}, nil
	}
	if n, ok := bytesOf(s.Was); ok {
		if err := m.fits(n); err != nil {
			return nil, err
		}
	}
	return nil, m.set(s.Was)
}

// made tells whether a limit is one that was written here.
func (s *memoryState) made(now string) bool {
	n, ok := bytesOf(now)
	if !ok {
		return false
	}
	page := int64(os.Getpagesize())
	for _, b := range s.Made {
		if n == b-b%page || n == b {
			return true
		}
	}
	return false
}

// fits refuses a limit that is less than what the group holds and can't give back at once.
func (m MemoryLimit) fits(limit int64) error {
	held, err := m.held()
	if err != nil {
		return err
	}
	if limit < held {
		return fmt.Errorf("%s holds %d bytes that can't be given back at once: a limit of %d would have the kernel kill; choose more, or have it free some first", m.Group, held, limit)
	}
	return nil
}

// held is memory in use without file pages that nobody used lately, which the kernel drops first; in bytes.
func (m MemoryLimit) held() (int64, error) {
	usage, idle := "memory.current", "inactive_file"
	if m.version() == 1 {
		usage, idle = "memory.usage_in_bytes", "total_inactive_file"
	}
	text, err := readText(filepath.Join(m.Group, usage))
	if err != nil {
		return 0, err
	}
	n, ok := bytesOf(text)
	if !ok {
		return 0, fmt.Errorf("%s: %q is no number of bytes", filepath.Join(m.Group, usage), text)
	}
	stat, err := os.ReadFile(filepath.Join(m.Group, "memory.stat"))
	if err != nil {
		return 0, err
	}
	dropped, _ := cgroup.Value(stat, idle)
	return max(n-dropped, 0), nil
}

func (m MemoryLimit) set(text string) error {
	path := filepath.Join(m.Group, limitFile[m.version()])
	if err := writeText(path, text); err != nil {
		hint := ""
		if m.version() == 1 && errors.Is(err, syscall.EINVAL) {
			hint = ": it may be above memory.memsw.limit_in_bytes, which must be raised first"
		}
		return fmt.Errorf("%w%s", err, hint)
	}
	return nil
}

// bytesOf reads a number of bytes; none is "max".
func bytesOf(text string) (int64, bool) { return cgroup.Int([]byte(text)) }

func readText(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(bytes.TrimSpace(b)), err
}

// writeText writes a control file in one call, as the kernel wants it, and makes none.
func writeText(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.TrimRight(text, "\n") + "\n")
	return errors.Join(err, f.Close())
}

func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
