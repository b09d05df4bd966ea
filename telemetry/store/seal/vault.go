package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A Vault keeps a directory sealed on disk while a program works on it in memory: Work is a private directory on a file
// system that has no disk below it. Sync seals what changed there since the last time; Open brings back what was there at the last Sync
// that ended, or during one that didn't, as if the program had ended at that moment.
//
// What is in the sealed directory:
//
//	journal-N  what was put, appended, replaced and removed, in order; a new one begins when most of the old is past
//	files/ID   files as a whole, those that are large and don't grow; the journal says which
//	mark       how far the journal was when it was last forced to disk
//
// Files that grow by being appended to, such as logs, make the journal grow by as much; any other file that changes is
// sealed anew. Names that end in .tmp, and those that Options leave out, are not kept.
type Vault struct {
	dir  string
	key  Key
	o    Options
	work *workDir

	mu      sync.Mutex
	journal *Journal
	gen     uint64            // of the journal
	last    uint64            // the newest journal there is, begun to the end or not
	known   map[string]*known // what the journal says is there, by path
	files   map[ID]bool       // sealed files that are referred to
	past    []ID              // files that are not any more, once the journal is on disk
	broken  error
	closed  bool
}

// Options of a vault. The zero value has the defaults.
type Options struct {
	// Memory is where the work directory is made; it must have no disk below it. Empty: /dev/shm, or $XDG_RUNTIME_DIR.
	Memory string
	// Skip says which files are not kept, by slash-separated path: what can be made anew. nil: none.
	Skip func(path string) bool
	// Grows says which files are appended to, by slash-separated path. nil: those directly in a directory named wal.
	Grows func(path string) bool
	// ReadOnly opens a vault that another process may write.
	ReadOnly bool
	// Trouble is told what is worth knowing: a torn end that was cut off, swap that memory may be written to. nil: nobody is.
	Trouble func(error)

	anywhere bool // for tests: Memory may have a disk below it
}

// known is a file as the journal has it.
type known struct {
	info os.FileInfo
	log  bool  // it grows
	size int64 // of a log, what of it is in the journal
	file ID    // zero: its content is in the journal
}

const (
	filesDir = "files"
	markName = "mark"
	// small is up to what size a file's content goes to the journal.
	small = 16 << 10
	// piece is how much of a log goes to one record.
	piece = 1 << 20
	// slack is how much of a journal may be past before it is worth beginning a new one, beside as much as is live.
	slack = 8 << 20
)

// Open opens the vault in a directory, and creates it where the directory is empty or not there. The caller sees to it that one process
// writes it.
func Open(dir string, k Key, o Options) (*Vault, error) {
	if k.IsZero() {
		return nil, errors.New("a sealed directory needs a key")
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	if o.Skip == nil {
		o.Skip = func(string) bool { return false }
	}
	if o.Grows == nil {
		o.Grows = grows
	}
	if !o.ReadOnly {
		if err := os.MkdirAll(filepath.Join(dir, filesDir), 0o700); err != nil {
			return nil, err
		}
	}
	work, err := newWorkDir(&o)
	if err != nil {
		return nil, err
	}
	v := &Vault{dir: dir, key: k, o: o, work: work, known: map[string]*known{}, files: map[ID]bool{}}
	for try := 0; ; try++ {
		err := v.restore()
		if err == nil {
			return v, nil
		}
		// Who reads while another process writes may come upon files that go just then.
		if !o.ReadOnly || try == 3 || errors.Is(err, ErrKey) {
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), work.remove())
		}
		v.known, v.files = map[string]*known{}, map[ID]bool{}
		if err := work.empty(); err != nil {
			return nil, errors.Join(err, work.remove())
		}
	}
}

// IsVault reports whether a directory holds a vault.
func IsVault(dir string) bool {
	gens, err := generations(dir)
	return err == nil && len(gens) > 0
}

// Work is the directory to work in. It goes with Close.
func (v *Vault) Work() string { return v.work.path }

// Sync seals what changed. It survives the end of this process then, and with force also a loss of power.
func (v *Vault) Sync(force bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed || v.o.ReadOnly:
		return errors.New("the vault is closed, or open for reading alone")
	case v.broken != nil:
		// A failed write may have left the journal and what is known of it apart: a new one begins from what is there.
		if err := v.rotate(); err != nil {
			return err
		}
	}
	if err := v.sync(force); err != nil {
		v.broken = err
		return err
	}
	return nil
}

func (v *Vault) sync(force bool) error {
	if err := v.capture(); err != nil {
		return err
	}
	if v.journal.Size() > 2*v.live()+slack {
		return v.rotate()
	}
	if !force {
		return nil
	}
	return v.force()
}

// force makes what was sealed outlast a loss of power, and then lets go of files that nothing refers to.
func (v *Vault) force() error {
	if err := v.journal.Sync(); err != nil {
		return err
	}
	if err := v.writeMark(); err != nil {
		return err
	}
	for _, id := range v.past {
		if !v.files[id] {
			if err := os.Remove(v.filePath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	v.past = nil
	return nil
}

// writeMark notes how far the journal is on disk.
func (v *Vault) writeMark() error {
	return WriteFile(filepath.Join(v.dir, markName), v.key, markName, nil, Marks{v.gen, v.journal.Count()})
}

// live is about how large a journal of what is there now would be.
func (v *Vault) live() (n int64) {
	for _, k := range v.known {
		switch {
		case k.log:
			n += k.size
		case k.file == ID{}:
			n += k.info.Size()
		}
		n += 128
	}
	return n
}

// Close seals what changed, forces it to disk and removes the work directory.
func (v *Vault) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil
	}
	var err error
	if !v.o.ReadOnly {
		if v.broken != nil {
			err = v.rotate()
		}
		if err == nil {
			err = v.sync(true)
		}
		err = errors.Join(err, v.journal.Close())
	}
	v.closed = true
	return errors.Join(err, v.work.remove())
}

func (v *Vault) filePath(id ID) string { return filepath.Join(v.dir, filesDir, id.String()) }

func journalName(gen uint64) string { return fmt.Sprintf("journal-%08d", gen) }

// generations are the journals in a directory, oldest first.
func generations(dir string) (gens []uint64, err error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		var g uint64
		if _, err := fmt.Sscanf(d.Name(), "journal-%d", &g); err == nil && journalName(g) == d.Name() {
			gens = append(gens, g)
		}
	}
	slices.Sort(gens)
	return gens, nil
}

// grows reports whether a path is of a file that is appended to: one directly in a directory named wal.
func grows(path string) bool {
	dir, _, ok := cutLast(path)
	return ok && (dir == "wal" || strings.HasSuffix(dir, "/wal"))
}

func cutLast(path string) (dir, name string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
