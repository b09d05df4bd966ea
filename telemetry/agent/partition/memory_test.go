package partition

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foresail.dev/telemetry/agent/cgroup"
)

func TestAMemoryLimitIsSetAndTakenBack(t *testing.T) {
	for _, was := range []string{"max", "3221225472"} {
		group := group2(t, was, 1<<20, 0)
		k := open(t, t.TempDir())
		apply(t, k, MemoryLimit{Group: group, Bytes: 1 << 30})
		undo := apply(t, k, MemoryLimit{Group: group, Bytes: 2 << 30})
		if got := limitOf(t, group); got != "2147483648" {
			t.Errorf("the limit is %s", got)
		}
		for range 2 {
			if err := undo(); err != nil || limitOf(t, group) != was {
				t.Errorf("%v, the limit is %s and was %s", err, limitOf(t, group), was)
			}
		}
	}
}

// Version 2 kills where a limit is too low, so that is never asked for: neither by a share nor by an undo.
func TestALimitBelowWhatIsHeldIsRefused(t *testing.T) {
	group := group2(t, "500000000", 400_000_000, 100_000_000)
	k := open(t, t.TempDir())
	if _, err := k.Apply(allowAll, MemoryLimit{Group: group, Bytes: 299_999_999}); err == nil || !strings.Contains(err.Error(), "holds 300000000 bytes") {
		t.Error(err)
	}
	apply(t, k, MemoryLimit{Group: group, Bytes: 300_000_000}) // file pages that nobody uses can go
	undo := apply(t, k, MemoryLimit{Group: group, Bytes: 1 << 30})
	write := func(n int) {
		if err := os.WriteFile(filepath.Join(group, "memory.current"), []byte(fmt.Sprintln(n)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(900_000_000)
	if err := undo(); err == nil || !strings.Contains(err.Error(), "its record stays in") || limitOf(t, group) != "1073741824" {
		t.Errorf("%v, the limit is %s", err, limitOf(t, group))
	}
	write(1000)
	if err := undo(); err != nil || limitOf(t, group) != "500000000" {
		t.Errorf("%v, the limit is %s", err, limitOf(t, group))
	}
}

func TestALimitThatSomebodyElseHasSetIsTheirs(t *testing.T) {
	group := group2(t, "max", 1<<20, 0)
	k := open(t, t.TempDir())
	undo := apply(t, k, MemoryLimit{Group: group, Bytes: 1 << 30})
	if err := writeText(filepath.Join(group, "memory.max"), "7000000000"); err != nil {
		t.Fatal(err)
	}
	if err := undo(); !errors.Is(err, ErrChanged) || limitOf(t, group) != "7000000000" {
		t.Errorf("%v, the limit is %s", err, limitOf(t, group))
	}
	if err := undo(); err != nil || len(k.Shares()) != 0 {
		t.Errorf("it is not over: %v", err)
	}
}

func TestAGroupThatIsGoneHasNothingToUndo(t *testing.T) {
	group := group2(t, "max", 1<<20, 0)
	k := open(t, t.TempDir())
	undo := apply(t, k, MemoryLimit{Group: group, Bytes: 1 << 30})
	if err := os.RemoveAll(group); err != nil {
		t.Fatal(err)
	}
	if err := undo(); err != nil {
		t.Error(err)
	}
}

func TestAGroupWithoutALimitIsUnavailable(t *testing.T) {
	var u *Unavailable
	if err := (MemoryLimit{Group: t.TempDir(), Bytes: 1 << 30}).Available(); !errors.As(err, &u) || !strings.Contains(u.Reason, "memory controller is not enabled") {
		t.Error(err)
	}
}

// The kernel's own group: of whichever version the machine has.
func TestALimitOfARealControlGroup(t *testing.T) {
	mounts, err := cgroup.ReadMounts("/proc/self/mountinfo")
	if err != nil {
		t.Skip(err)
	}
	at, version := mounts.Where("memory")
	if version == 0 || os.Getuid() != 0 {
		t.Skip("takes root and a mounted memory controller of control groups")
	}
	group, err := os.MkdirTemp(at, "foresail-partition-test-")
	if err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	defer os.Remove(group)
	if err := (MemoryLimit{Group: group, Bytes: 1 << 30}).Available(); err != nil {
		t.Skip(err)
	}
	limit := func() string {
		text, err := readText(filepath.Join(group, limitFile[version]))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	before, dir := limit(), t.TempDir()
	k := open(t, dir)
	apply(t, k, MemoryLimit{Group: group, Bytes: 64<<20 + 123}) // not whole pages
	if limit() != fmt.Sprint(64<<20) {
		t.Errorf("the limit is %s", limit())
	}
	_ = k.Close() // it dies
	k = open(t, dir)
	if undone, err := k.Recover(); err != nil || len(undone) != 1 || limit() != before {
		t.Errorf("undone %v, %v; the limit is %s and was %s", undone, err, limit(), before)
	}
}
