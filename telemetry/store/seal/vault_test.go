package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// bench is a vault in a test: its sealed directory, its key, and what should be in it.
type bench struct {
	t   interface{ Fatal(...any) }
	dir string
	mem string
	key Key
	v   *Vault
}

// tempDir is in memory where it can be: there, forcing to disk takes no time.
func tempDir(t testing.TB) string {
	if !inMemory("/dev/shm") {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "seal-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newBench(t testing.TB) *bench {
	return &bench{t: t, dir: filepath.Join(tempDir(t), "sealed"), mem: tempDir(t), key: NewKey()}
}

func (b *bench) open() *Vault {
	v, err := b.try()
	if err != nil {
		b.t.Fatal(err)
	}
	b.v = v
	return v
}

func (b *bench) try() (*Vault, error) {
	return Open(b.dir, b.key, Options{Memory: b.mem, anywhere: true, Skip: func(p string) bool { return strings.Contains(p, "skip") }})
}

// kill ends a vault as kill -9 does: the lock goes, nothing else happens.
func (b *bench) kill() {
	b.v.journal.Close()
	b.v.work.lock.Close()
}

func (b *bench) put(path, content string) {
	p := filepath.Join(b.v.Work(), path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), os.WriteFile(p+".tmp", []byte(content), 0o600), os.Rename(p+".tmp", p)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) grow(path, content string) {
	p := filepath.Join(b.v.Work(), path)
	err := os.MkdirAll(filepath.Dir(p), 0o700)
	f, err2 := os.OpenFile(p, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err = errors.Join(err, err2); err == nil {
		_, err = f.WriteString(content)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) remove(path string) {
	if err := os.Remove(filepath.Join(b.v.Work(), path)); err != nil {
		b.t.Fatal(err)
	}
}

// content is all files in the work directory.
func (b *bench) content() map[string]string {
	out := map[string]string{}
	for p := range b.files(b.v.Work()) {
		if p != workLock && !strings.Contains(p, "skip") && !strings.HasSuffix(p, ".tmp") {
			data, err := os.ReadFile(filepath.Join(b.v.Work(), p))
			if err != nil {
				b.t.Fatal(err)
			}
			out[p] = string(data)
		}
	}
	return out
}

func (b *bench) files(dir string) map[string]bool {
	out := map[string]bool{}
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, p)
			out[rel] = true
		}
		return err
	})
	return out
}

func (b *bench) sync(force bool) {
	if err := b.v.Sync(force); err != nil {
		b.t.Fatal(err)
	}
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}

var big = strings.Repeat("block of checkout ", 3000)

func TestAVaultComesBack(t *testing.T) {
	b := newBench(t)
	b.open()
	b.put("history.json", `{"application":"checkout"}`)
	b.put("samples/01/chunks/000001", big)
	b.grow("samples/wal/00000000", "checkout one ")
	b.put("samples/chunks_head/skip-this", "checkout")
	b.grow("samples/half.tmp", "checkout")
	b.sync(true)
	b.grow("samples/wal/00000000", "checkout two")
	b.sync(false)
	want := b.content()
	b.kill()

	b.open()
	if got := b.content(); !equal(got, want) {
		t.Fatalf("after a kill: %v", slices.Sorted(mapKeys(got)))
	}
	b.put("samples/01/chunks/000001", "another "+big)
	b.remove("history.json")
	want = b.content()
	if err := b.v.Close(); err != nil {
		t.Fatal(err)
	}
	if left := b.files(b.mem); len(left) != 0 {
		t.Fatalf("left in memory: %v", left)
	}
	b.open()
	if got := b.content(); !equal(got, want) {
		t.Fatalf("after Close: %v", slices.Sorted(mapKeys(got)))
	}
	for p := range b.files(b.dir) {
		data, err := os.ReadFile(filepath.Join(b.dir, p))
		if err != nil || bytes.Contains(data, []byte("checkout")) || strings.Contains(p, "checkout") || bytes.Contains(data, []byte("samples")) {
			t.Errorf("%s tells something: %v", p, err)
		}
	}
	if n := len(b.files(filepath.Join(b.dir, filesDir))); n != 1 {
		t.Errorf("%d sealed files for the one that is there", n)
	}
	b.v.Close()
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestAKilledVaultLeavesNothingInMemory(t *testing.T) {
	b := newBench(t)
	b.open()
	b.put("a", "checkout")
	b.kill()
	if len(b.files(b.mem)) == 0 {
		t.Fatal("the test is about what a kill leaves")
	}
	b.open()
	if got := b.files(b.mem); len(got) != 1 { // the lock of the one that is open
		t.Fatalf("in memory: %v", got)
	}
	fi, err := os.Stat(b.v.Work())
	if err != nil || fi.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v, %v", fi.Mode(), err)
	}
	b.v.Close()
}

// Against a map as the oracle: whatever is put, grown, removed and synced, and however the process ends, what comes back
// is what was there at the last Sync; a journal that is cut after that gives what was there at an earlier one.
func TestVaultAgainstAMap(t *testing.T) {
	dirs := 0
	root, mem := tempDir(t), tempDir(t)
	rapid.Check(t, func(t *rapid.T) {
		dirs++
		b := &bench{t: t, dir: filepath.Join(root, fmt.Sprint(dirs)), mem: mem, key: NewKey()}
		b.open()
		want := map[string]string{}
		paths := []string{"a", "d/b", "d/e/c", "wal/1", "d/wal/2", "d/wal/checkpoint.1/0"}
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			p := rapid.SampledFrom(paths).Draw(t, "path")
			size := rapid.SampledFrom([]int{0, 5, small, small + 1, 3 * small}).Draw(t, "size")
			content := strings.Repeat(rapid.StringMatching(`[a-z]`).Draw(t, "letter"), size)
			switch rapid.IntRange(0, 5).Draw(t, "do") {
			case 0:
				b.put(p, content)
			case 1:
				b.grow(p, content)
			case 2:
				if _, err := os.Stat(filepath.Join(b.v.Work(), p)); err == nil {
					b.remove(p)
				}
			case 3:
				b.sync(rapid.Bool().Draw(t, "force"))
				want = b.content()
			case 4:
				b.kill()
				b.open()
				if got := b.content(); !equal(got, want) {
					t.Fatalf("after a kill: %v, want %v", slices.Sorted(mapKeys(got)), slices.Sorted(mapKeys(want)))
				}
			case 5:
				want = b.content()
				if err := b.v.Close(); err != nil {
					t.Fatal(err)
				}
				b.open()
				if got := b.content(); !equal(got, want) {
					t.Fatalf("after Close: %v, want %v", slices.Sorted(mapKeys(got)), slices.Sorted(mapKeys(want)))
				}
			}
		}
		b.v.Close()
	})
}

// A journal cut at any byte behind what was forced to disk gives a state that was there; cut before, it says that it was.
func TestAVaultCutAnywhere(t *testing.T) {
	b := newBench(t)
	b.open()
	b.grow("wal/1", "one")
	b.sync(true)
	path := filepath.Join(b.dir, journalName(b.v.gen))
	forced := b.v.journal.Size()
	b.grow("wal/1", "two")
	b.sync(false)
	two := b.v.journal.Size()
	b.grow("wal/1", "three")
	b.sync(false)
	b.kill()
	whole := copyOf(t, b.dir)
	size := int64(len(whole[filepath.Base(path)]))
	for n := int64(0); n <= size; n++ {
		restoreTo(t, b.dir, whole)
		if err := os.Truncate(path, n); err != nil {
			t.Fatal(err)
		}
		v, err := b.try()
		if n < forced {
			if !refused(err) {
				t.Fatalf("cut to %d of %d forced bytes: %v", n, forced, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut to %d: %v", n, err)
		}
		b.v = v
		want := "one"
		if n >= two {
			want += "two"
		}
		if n == size {
			want += "three"
		}
		if got := b.content()["wal/1"]; got != want {
			t.Fatalf("cut to %d: %q, want %q", n, got, want)
		}
		v.Close()
	}
}

// copyOf is every file of a directory.
func copyOf(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, p)
			out[rel], err = os.ReadFile(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func restoreTo(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	err := os.RemoveAll(dir)
	for p, data := range files {
		err = errors.Join(err, os.MkdirAll(filepath.Join(dir, filepath.Dir(p)), 0o700), os.WriteFile(filepath.Join(dir, p), data, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Every byte of every file of a vault counts.
func TestEveryByteOfAVaultCounts(t *testing.T) {
	b := newBench(t)
	b.open()
	b.put("a", "small")
	b.put("block", strings.Repeat("x", small+1))
	b.grow("wal/1", "log")
	b.sync(true)
	b.kill()
	whole := copyOf(t, b.dir)
	tried := 0
	for name, data := range whole {
		step := max(1, len(data)/200) // each byte of the journal and the mark, and some of the long file, whose every byte has its own test
		for i := 0; i < len(data); i += step {
			bad := bytes.Clone(data)
			bad[i] ^= 0x10
			restoreTo(t, b.dir, whole)
			if err := os.WriteFile(filepath.Join(b.dir, name), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := b.try(); !refused(err) {
				t.Fatalf("%s: byte %d of %d: %v", name, i, len(data), err)
			}
			tried++
		}
	}
	if tried < 300 {
		t.Fatalf("only %d bytes were tried", tried)
	}
}

// Pieces that are replaced by older versions of themselves, exchanged or removed are found out, and named.
func TestWhatWasReplacedIsNamed(t *testing.T) {
	b := newBench(t)
	b.open()
	b.put("samples/block", big+"1")
	b.put("minutes/block", big+"2")
	b.grow("wal/1", "one")
	b.sync(true)
	b.kill()
	older := copyOf(t, b.dir)
	b.open()
	b.put("samples/block", big+"3")
	b.grow("wal/1", "two")
	b.sync(true)
	b.kill()
	now := copyOf(t, b.dir)
	ids := map[string][]string{} // by age
	for age, files := range map[string]map[string][]byte{"older": older, "now": now} {
		for p := range files {
			if strings.HasPrefix(p, filesDir) {
				ids[age] = append(ids[age], p)
			}
		}
		slices.Sort(ids[age])
	}
	oldJournal, newJournal := "journal-00000001", ""
	for p := range now {
		if strings.HasPrefix(p, "journal-") {
			newJournal = p
		}
	}
	with := func(change func(map[string][]byte)) error {
		files := map[string][]byte{}
		for p, d := range now {
			files[p] = d
		}
		change(files)
		restoreTo(t, b.dir, files)
		v, err := b.try()
		if err == nil {
			v.Close()
		}
		return err
	}
	var gone string // a file that was replaced
	for _, p := range ids["older"] {
		if now[p] == nil {
			gone = p
		}
	}
	for _, c := range []struct {
		name   string
		change func(map[string][]byte)
		want   error
	}{
		{"nothing", func(map[string][]byte) {}, nil},
		{"the journal is the older one", func(f map[string][]byte) { delete(f, newJournal); f[oldJournal] = older[oldJournal] }, ErrRolledBack},
		{"the older journal and files, not the mark", func(f map[string][]byte) {
			delete(f, newJournal)
			for p, d := range older {
				if p != markName {
					f[p] = d
				}
			}
		}, ErrRolledBack},
		{"an older journal under the new one's name", func(f map[string][]byte) { f[newJournal] = older[oldJournal] }, ErrSwapped},
		{"an older block in a newer one's place", func(f map[string][]byte) {
			for _, p := range ids["now"] {
				if older[p] == nil {
					f[p] = older[gone]
				}
			}
		}, ErrSwapped},
		{"two blocks exchanged", func(f map[string][]byte) { f[ids["now"][0]], f[ids["now"][1]] = f[ids["now"][1]], f[ids["now"][0]] }, ErrSwapped},
		{"a block removed", func(f map[string][]byte) { delete(f, ids["now"][0]) }, ErrRolledBack},
		{"the journal removed", func(f map[string][]byte) { delete(f, newJournal) }, ErrRolledBack},
		{"the mark removed", func(f map[string][]byte) { delete(f, markName) }, ErrRolledBack},
		{"all but the files removed", func(f map[string][]byte) { delete(f, markName); delete(f, newJournal) }, ErrRolledBack},
		{"the journal cut to nothing", func(f map[string][]byte) { f[newJournal] = nil }, ErrRolledBack},
	} {
		if err := with(c.change); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	restoreTo(t, b.dir, now)
	right := b.key
	b.key = NewKey()
	if _, err := b.try(); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), right.ID()) || !strings.Contains(err.Error(), b.key.ID()) {
		t.Errorf("another key: %v", err)
	}
}

// A full disk loses nothing that was acknowledged, and what was not is there once there is room.
func TestAFailedWriteIsMadeGood(t *testing.T) {
	b := newBench(t)
	b.open()
	b.grow("wal/1", "one")
	b.sync(true)
	b.v.journal.f.Close() // writes fail from now on
	b.grow("wal/1", "two")
	if err := b.v.Sync(false); err == nil {
		t.Fatal("a write that failed was not told")
	}
	b.sync(false) // a new journal
	b.grow("wal/1", "three")
	b.sync(false)
	b.kill()
	b.open()
	if got := b.content()["wal/1"]; got != "onetwothree" {
		t.Fatalf("%q", got)
	}
	b.v.Close()
}

// The journal doesn't grow for ever: what is past goes, and logs that were removed with it.
func TestTheJournalIsBegunAnew(t *testing.T) {
	b := newBench(t)
	b.open()
	data := strings.Repeat("x", piece)
	for i := range 30 {
		p := fmt.Sprintf("wal/%d", i)
		b.grow(p, data)
		if i > 0 {
			b.remove(fmt.Sprintf("wal/%d", i-1))
		}
		b.sync(false)
	}
	size := int64(0)
	for _, d := range copyOf(t, b.dir) {
		size += int64(len(d))
	}
	if size > slack+8*piece {
		t.Fatalf("%d bytes for %d that are live", size, piece)
	}
	want := b.content()
	b.kill()
	b.open()
	if got := b.content(); !equal(got, want) {
		t.Fatal("something else came back")
	}
	b.v.Close()
}

// Who only reads sees what was there at some Sync, while it is written, and changes nothing.
func TestReadingBesideAWriter(t *testing.T) {
	b := newBench(t)
	b.open()
	b.grow("wal/1", "one")
	b.put("block", big)
	b.sync(false)
	before := copyOf(t, b.dir)
	r, err := Open(b.dir, b.key, Options{Memory: b.mem, anywhere: true, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(r.Work(), "wal/1"))
	if err != nil || string(data) != "one" {
		t.Fatalf("%q, %v", data, err)
	}
	if err := r.Sync(true); err == nil {
		t.Fatal("a reader wrote")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	after := copyOf(t, b.dir)
	for p, d := range before {
		if !bytes.Equal(after[p], d) {
			t.Errorf("%s changed", p)
		}
	}
	b.sync(true)
	b.v.Close()
}

func TestMemoryMustBeMemory(t *testing.T) {
	dir := t.TempDir()
	if inMemory(dir) {
		t.Skip("temporary files are in memory here")
	}
	_, err := Open(filepath.Join(dir, "sealed"), NewKey(), Options{Memory: dir})
	if err == nil || !strings.Contains(err.Error(), "tmpfs") {
		t.Fatalf("a disk was taken for memory: %v", err)
	}
	if !inMemory("/dev/shm") {
		t.Skip("no tmpfs at /dev/shm here")
	}
	v, err := Open(filepath.Join(dir, "sealed"), NewKey(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(v.Work(), "/dev/shm/") {
		t.Errorf("work is in %s", v.Work())
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}
