package partition

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Share is one wish: [CacheShare], [NetworkShare] or [MemoryLimit].
type Share interface {
	Kind() Kind
	String() string
	// Available is nil or an *Unavailable.
	Available() error

	// place names what is divided, among all places of all kinds; name the share within its place.
	place() string
	name() string
	// check tells every wrong field.
	check() error
	// begin reads what is there before the first share of its place.
	begin() (state, error)
}

// state is what was at a place before the first share of it, and the shares that are to be there now. It is a value: add
// and remove make new ones.
type state interface {
	// add is the state with one more share, or one changed. It refuses what can't be, reads what else it must know to take
	// it back, and changes nothing.
	add(Share) (state, error)
	remove(name string) state
	shares() []Share
	// over is the same state, where shares of another may be there wholly or in part.
	over(other state) state
	// write makes the shares so. What is so already is left alone.
	write() error
	// restore brings back what was before the first share, whatever write got to. Where err is nil nothing is left to be
	// done; changed then says what somebody else has changed, and was left.
	restore() (changed []string, err error)
}

// Keeper makes shares so and takes them back. All methods may be called by several goroutines; changes are made one after
// the other.
type Keeper struct {
	dir  string
	boot string
	lock *os.File

	mu     sync.Mutex
	states map[string]state // by place
	owed   bool             // there are records of an earlier run that nobody has recovered
	save   func(path string, r record) error
}

// Open opens a folder of undo records, which it makes where there is none. Only one Keeper has a folder at a time. Where an
// earlier one has left records, Recover comes first.
func Open(dir string) (*Keeper, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("undo records of partitions: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("undo records of partitions: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("undo records of partitions in %s: another process keeps them (%w): one agent a node, or give each a folder of its own", dir, err)
	}
	k := &Keeper{dir: dir, boot: bootID(), lock: lock, states: map[string]state{}, save: save}
	files, err := k.files()
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	k.owed = len(files) > 0
	return k, nil
}

// Close lets go of the folder. Shares stay, and so do their records: call UndoAll first where nobody goes on.
func (k *Keeper) Close() error { return k.lock.Close() }

// Apply makes a share so. The same share again changes nothing; one of the same name with other figures takes its place.
// undo takes it back, and does nothing where that was done before.
//
// Errors: ErrForbidden, *Unavailable, wrong fields, a share that can't be, or a call that the kernel has refused; then
// everything is as it was before Apply, or the error says what is not.
func (k *Keeper) Apply(p Permission, s Share) (undo func() error, err error) {
	if !p.Allows(s.Kind()) {
		return nil, fmt.Errorf("%s: %w: nobody has permitted partitions of kind %s on this node; whoever owns it may", s, ErrForbidden, s.Kind())
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.owed {
		return nil, fmt.Errorf("%s: %s has undo records of an earlier run: recover them first", s, k.dir)
	}
	if err := s.Available(); err != nil {
		return nil, err
	}
	before, known := k.states[s.place()]
	from := before
	if !known {
		if from, err = s.begin(); err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
	}
	next, err := from.add(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	if err := k.save(k.path(s.place()), k.record(p.by, next)); err != nil {
		return nil, fmt.Errorf("%s: nothing was changed, since what is there now could not be noted: %w", s, err)
	}
	k.states[s.place()] = next
	if err := next.write(); err != nil {
		return nil, fmt.Errorf("%s: %w", s, errors.Join(err, k.back(s.place(), p.by, before, next)))
	}
	return func() error { return k.Undo(s) }, nil
}

// back is called when next could not be written: before is made so again, nil: what was before any share.
func (k *Keeper) back(place, by string, before, next state) error {
	if before == nil {
		return k.restore(place, next)
	}
	before = before.over(next)
	if err := before.write(); err != nil {
		return fmt.Errorf("what was before could not be made so either: %w", err)
	}
	k.states[place] = before
	return k.save(k.path(place), k.record(by, before))
}

// Undo takes a share back, by its place and name. It does nothing where there is none.
func (k *Keeper) Undo(s Share) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	st, ok := k.states[s.place()]
	if !ok || !slices.ContainsFunc(st.shares(), func(o Share) bool { return o.name() == s.name() }) {
		return nil
	}
	next := st.remove(s.name())
	var err error
	if len(next.shares()) == 0 {
		err = k.restore(s.place(), st)
	} else if err = next.write(); err == nil {
		// The record names the share until here, which does no harm: what is taken back is what was before all.
		k.states[s.place()] = next
		err = k.save(k.path(s.place()), k.record("", next))
	}
	if err != nil {
		return fmt.Errorf("undo of %s: %w", s, err)
	}
	return nil
}

// UndoAll takes all shares back.
func (k *Keeper) UndoAll() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, place := range slices.Sorted(maps.Keys(k.states)) {
		if err := k.restore(place, k.states[place]); err != nil {
			errs = append(errs, fmt.Errorf("undo of %s: %w", place, err))
		}
	}
	return errors.Join(errs...)
}

// restore brings a place back, and forgets it where nothing is left to be done.
func (k *Keeper) restore(place string, st state) error {
	changed, err := st.restore()
	if err != nil {
		return fmt.Errorf("%w; its record stays in %s: undo it again, or by hand", err, k.path(place))
	}
	delete(k.states, place)
	err = forget(k.path(place))
	if len(changed) > 0 {
		err = errors.Join(err, fmt.Errorf("%w, and left as it is: %s", ErrChanged, joined(changed)))
	}
	return err
}

// Shares are those that are so now, by place and name.
func (k *Keeper) Shares() []Share {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []Share
	for _, place := range slices.Sorted(maps.Keys(k.states)) {
		all = append(all, k.states[place].shares()...)
	}
	return all
}

// Recover takes back what an earlier run has left, and says what that was. It takes no permission: only what was permitted
// once is taken back. Records of before the machine was started mean nothing any more and are dropped. Where one can't be
// read or undone it stays, the others are undone all the same, and Apply goes on refusing.
func (k *Keeper) Recover() (undone []Share, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	files, err := k.files()
	if err != nil {
		return nil, err
	}
	var errs []error
	owed := false
	for _, path := range files {
		r, err := load(path)
		if err != nil {
			errs, owed = append(errs, err), true
			continue
		}
		st := r.state()
		place := st.shares()[0].place()
		if _, own := k.states[place]; own {
			continue
		}
		if r.Boot != k.boot {
			if err := forget(path); err != nil {
				errs, owed = append(errs, err), true
			}
			continue
		}
		changed, err := st.restore()
		if err == nil {
			err = forget(path)
		}
		if err != nil {
			errs, owed = append(errs, fmt.Errorf("%s: %w; recover again, or undo it by hand and delete the file", path, err)), true
			continue
		}
		if len(changed) > 0 {
			errs = append(errs, fmt.Errorf("%s: %w, and left as it is: %s", path, ErrChanged, joined(changed)))
		}
		undone = append(undone, st.shares()...)
	}
	k.owed = owed
	return undone, errors.Join(errs...)
}
