package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"foresail.dev/telemetry/store"
)

// small mounts a file system with room for as many bytes as told, which only root may.
func small(t *testing.T, bytes string) string {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+bytes); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A disk without a byte left: what was acknowledged stays, the log's torn record is cut off, and it goes on when there is room.
// Nothing is reserved, so that writes do fail.
func TestDiskWithoutAByteLeft(t *testing.T) {
	for _, left := range []int64{200 << 10, 233 << 10} { // it fails at different places
		t.Run(fmt.Sprintf("%d KiB", left>>10), func(t *testing.T) { fillUp(t, left) })
	}
}

func fillUp(t *testing.T, left int64) {
	disk := small(t, "24m")
	dir, balloon := filepath.Join(disk, "history"), filepath.Join(disk, "balloon")
	app := shop(6)
	h := open(t, dir, store.Options{Reserve: 1})
	blow(t, balloon, left)
	taken, failed, room := map[int]bool{}, 0, 0
	k := 0
	for ; room == 0 || k < room+20; k++ {
		if failed == 12 && room == 0 {
			room = k
			if err := os.Remove(balloon); err != nil {
				t.Fatal(err)
			}
		}
		switch err := h.Append(app, second(app, k, 3)); {
		case err == nil:
			taken[k] = true
		case !errors.Is(err, store.ErrUnwritable):
			t.Fatalf("second %d: %v", k, err)
		default:
			if failed++; room > 0 && k > room+6 {
				t.Errorf("second %d: there is room, and still: %v", k, err)
			}
		}
		if k > 1000 {
			t.Fatal("the disk does not fill up")
		}
	}
	if !taken[k-1] {
		t.Fatal("it does not go on")
	}
	same := func(h store.History) {
		found := 0
		for _, s := range read(t, h, start, forever, 0) {
			if k := int(s.Start.Sub(start).Seconds()); taken[k] && s.Services[5].Arrivals == second(app, k, 3).Services[5].Arrivals {
				found++
			}
		}
		if found != len(taken) {
			t.Errorf("%d are there of %d that were acknowledged", found, len(taken))
		}
	}
	same(h)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := store.OpenRead(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	same(r)
	report, err := r.Check(t.Context())
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("%v %v", report.Problems, err)
	}
	t.Logf("%d seconds taken, %d refused", len(taken), failed)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// blow fills a file system but for some bytes.
func blow(t *testing.T, name string, leave int64) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	left := func() int64 {
		var st unix.Statfs_t
		if err := unix.Statfs(filepath.Dir(name), &st); err != nil {
			t.Fatal(err)
		}
		return int64(st.Bavail) * int64(st.Bsize)
	}
	page := make([]byte, 4096)
	for left() > leave {
		if _, err := f.Write(page); err != nil {
			t.Fatal(err)
		}
	}
}
