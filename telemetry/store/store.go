package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/prometheus/tsdb/fileutil"

	"foresail.dev"
	"foresail.dev/telemetry/store/seal"
)

// Store is a history on disk.
type Store struct {
	dir     string      // where the databases are: in memory where the store is sealed
	disk    string      // where it lasts
	vault   *seal.Vault // nil: the store is not sealed
	sandbox string      // where a copy for reading is; empty: it is the store itself
	options Options
	lock    fileutil.Releaser

	mu      sync.RWMutex
	meta    meta
	apps    []Application
	app     *foresail.App // that numbers what is read; nil: none is known yet
	fine    *level        // snapshots as they were appended
	minutes *level
	synced  time.Time // by the snapshots' time
	failed  time.Time // when writing failed, by the snapshots' time; zero: it did not
	cause   error
	closed  bool
}

// Open opens a store for writing, and creates it where the directory is empty or not there. One process at a time may.
func Open(dir string, o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, _, err := fileutil.Flock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("%s: another process writes this store; stop it, or give another directory: %w", dir, err)
	}
	s := &Store{dir: dir, disk: dir, options: o, lock: lock}
	if err := s.unseal(false); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the history store: %w", err), lock.Release())
	}
	if err := s.open(s.dir, true); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the history store: %w", err), s.sealUp(), lock.Release())
	}
	if err := s.rollUp(); err != nil {
		o.Trouble(fmt.Errorf("snapshots of minutes are behind: %w", err))
	}
	return s, nil
}

func (s *Store) open(dir string, create bool) (err error) {
	s.meta, err = readMeta(dir)
	if create && errors.Is(err, ErrNoStore) {
		if _, serr := os.Stat(filepath.Join(dir, metaFile)); errors.Is(serr, os.ErrNotExist) {
			s.meta, err = createIn(dir)
		}
	}
	if err != nil {
		return err
	}
	if s.apps, err = readApps(dir); err != nil {
		return err
	}
	if n := len(s.apps); n > 0 {
		s.app = s.apps[n-1].App
	}
	if a := s.options.App; a != nil {
		if err := s.is(a); err != nil {
			return err
		}
		s.app = a
	}
	o := &s.options
	s.fine = newLevel(filepath.Join(dir, samplesDir), o.Retention, o.block, o.Size*3/4, o.Trouble)
	s.minutes = newLevel(filepath.Join(dir, minutesDir), o.Minutes, 12*o.block, o.Size/4, o.Trouble)
	if s.vault != nil { // a segment is allocated whole while it is written, and memory is dearer than disk
		s.fine.options.MaxBlockChunkSegmentSize, s.minutes.options.MaxBlockChunkSegmentSize = sealedSegment, sealedSegment
	}
	if err := s.fine.open(); err != nil {
		return err
	}
	if err := s.minutes.open(); err != nil {
		return errors.Join(err, s.fine.close())
	}
	return nil
}

// is refuses another application than the store's.
func (s *Store) is(app *foresail.App) error {
	if s.meta.Application != "" && s.meta.Application != app.Name {
		return fmt.Errorf("%s: %w: of %s, not of %s; give each application a directory", s.dir, ErrApplication, s.meta.Application, app.Name)
	}
	return nil
}

// Append keeps a final snapshot; see History. What is acknowledged, see the package.
func (s *Store) Append(app *foresail.App, sn *foresail.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.sandbox != "" {
		return errors.New("the store is closed, or open for reading alone")
	}
	if err := s.writable(sn.End); err != nil {
		return err
	}
	if sn.Start.UnixMilli() < s.fine.free {
		return fmt.Errorf("%w: a snapshot from %s on, and the store goes until %s", ErrOverlap, sn.Start.Format(time.RFC3339Nano),
			time.UnixMilli(s.fine.free).UTC().Format(time.RFC3339Nano))
	}
	if err := s.know(app, sn.Start); err != nil {
		return err
	}
	if err := s.written(s.fine.append(app, sn), sn.End); err != nil {
		return err
	}
	force := s.options.Sync < 0 || sn.End.Sub(s.synced) >= s.options.Sync || sn.End.Before(s.synced)
	if err := s.keep(force); err != nil {
		return s.written(err, sn.End)
	}
	if force {
		s.synced = sn.End
	}
	if cell := sn.End.Truncate(time.Minute); cell.After(s.minutes.last) && cell.After(sn.Start) {
		if err := s.rollUp(); err != nil {
			s.options.Trouble(fmt.Errorf("snapshots of minutes are behind: %w", err))
		}
	}
	return nil
}

// writable says why nothing can be written now.
func (s *Store) writable(now time.Time) error {
	past := now.Sub(s.failed)
	if !s.failed.IsZero() && past >= 0 && past < DefaultRetry {
		return fmt.Errorf("%w at %s: %w", ErrUnwritable, s.failed.Format(time.TimeOnly), s.cause)
	}
	left, dir, err := s.room()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	if left < s.options.Reserve {
		err := fmt.Errorf("%d MiB are left on the disk of %s, and %d MiB must be: make room, or lower retention", left>>20, dir, s.options.Reserve>>20)
		if left < s.options.Reserve/2 && s.failed.IsZero() { // so that nothing goes on writing beside
			err = errors.Join(err, s.fine.close(), s.minutes.close())
		}
		if s.fine.db == nil {
			s.failed, s.cause = now, err
		}
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	if !s.failed.IsZero() {
		if err := s.reopen(); err != nil {
			s.failed, s.cause = now, err
			return fmt.Errorf("%w: %w", ErrUnwritable, err)
		}
	}
	return nil
}

// written notes a failure after which the log may end in the middle of a record.
func (s *Store) written(err error, now time.Time) error {
	if w := (*writeError)(nil); errors.As(err, &w) {
		s.failed, s.cause = now, err
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	return err
}

// reopen opens the databases anew, so that logs begin a new segment behind what is whole.
func (s *Store) reopen() error {
	_ = errors.Join(s.fine.close(), s.minutes.close()) // they could not write, so they may not close well
	if err := s.fine.open(); err != nil {
		return err
	}
	if err := s.minutes.open(); err != nil {
		return err
	}
	s.failed, s.cause = time.Time{}, nil
	return nil
}

// know keeps what the application is, where that has changed.
func (s *Store) know(app *foresail.App, since time.Time) error {
	n := len(s.apps)
	if n > 0 && (s.apps[n-1].App == app || sameApp(s.apps[n-1].App, app)) {
		s.app = app
		return nil
	}
	if err := s.is(app); err != nil {
		return err
	}
	if s.meta.Application == "" {
		m := s.meta
		m.Application = app.Name
		if err := writeMeta(s.dir, m); err != nil {
			return err
		}
		s.meta = m
	}
	a := Application{Since: since, App: app}
	if err := writeApp(s.dir, n+1, a); err != nil {
		return err
	}
	s.apps, s.app = append(s.apps, a), app
	return nil
}

// rollUp writes the minutes that are over and not there yet.
func (s *Store) rollUp() error {
	if s.app == nil || s.fine.last.IsZero() {
		return nil
	}
	from, end := s.minutes.last, s.fine.last.Truncate(time.Minute)
	if first := s.fine.begin(); from.Before(first) {
		from = first
	}
	if !from.Before(end) {
		return nil
	}
	if at := time.UnixMilli(s.minutes.free).UTC(); s.minutes.free > from.UnixMilli() {
		from = at.Add(time.Minute - 1).Truncate(time.Minute) // behind what a process left that ended early
	}
	for m, err := range cells(nil, from, end, time.Minute, s.fine.snapshots(context.Background(), s.app, from, end, nil)) {
		if err != nil {
			return err
		}
		if err := s.written(s.minutes.append(s.app, m), m.End); err != nil {
			return err
		}
	}
	return nil
}

// App is the application as it was when the newest snapshot came, or as Options have it; nil: none is known.
func (s *Store) App() *foresail.App {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.app
}

// Applications are all that the application was, oldest first.
func (s *Store) Applications() []Application {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]Application(nil), s.apps...)
}

// Range is the start of the oldest and the end of the newest snapshot.
func (s *Store) Range() (from, to time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.fine.db == nil || s.minutes.db == nil {
		return from, to
	}
	from, to = s.fine.begin(), s.fine.last
	if f := s.minutes.begin(); !f.IsZero() && (from.IsZero() || f.Before(from)) {
		from = f
	}
	if l := s.minutes.last; l.After(to) {
		to = l
	}
	return from, to
}

// Snapshots yields what was observed; see History.
func (s *Store) Snapshots(ctx context.Context, from, to time.Time, step time.Duration) iter.Seq2[*foresail.Snapshot, error] {
	return func(yield func(*foresail.Snapshot, error) bool) {
		s.mu.RLock()
		app, failed := s.app, s.closed || s.fine.db == nil || s.minutes.db == nil
		fine, minutes := *s.fine, *s.minutes
		s.mu.RUnlock()
		switch {
		case failed:
			yield(nil, ErrUnwritable)
			return
		case app == nil:
			return
		case step < 0:
			yield(nil, fmt.Errorf("a step of %v", step))
			return
		}
		from, to := within(from), within(to)
		all := join(ctx, app, &fine, &minutes, from, to, step)
		if step > 0 {
			all = cells(app, from, to, step, all)
		}
		all(yield)
	}
}

// join reads minutes where they serve, or where there is nothing else, and snapshots as they were appended elsewhere.
func join(ctx context.Context, app *foresail.App, fine, minutes *level, from, to time.Time, step time.Duration) iter.Seq2[*foresail.Snapshot, error] {
	switchOver := fine.begin() // minutes before, the finer after
	if step > 0 && step%time.Minute == 0 {
		switchOver = minutes.last
	}
	if switchOver.After(minutes.last) || switchOver.IsZero() {
		switchOver = minutes.last
	}
	if switchOver.After(to) {
		switchOver = to
	}
	return func(yield func(*foresail.Snapshot, error) bool) {
		at := from
		finer := func(to time.Time) bool {
			for s, err := range fine.snapshots(ctx, app, at, to, nil) {
				if !yield(s, err) || err != nil {
					return false
				}
			}
			return true
		}
		for s, err := range minutes.snapshots(ctx, app, from, switchOver, nil) {
			if err == nil && s.Start.After(at) && !finer(s.Start) { // a minute that was not written to its end
				return
			}
			if !yield(s, err) || err != nil {
				return
			}
			at = s.End
		}
		finer(to)
	}
}

// Close ends it; what was appended is forced to disk.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := errors.Join(s.fine.close(), s.minutes.close())
	switch {
	case s.vault != nil:
		err = errors.Join(err, s.sealUp())
	case s.sandbox == "":
		err = errors.Join(err, syncLog(s.fine.wal()), syncLog(s.minutes.wal()))
	default:
		err = errors.Join(err, os.RemoveAll(s.sandbox))
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Release())
	}
	return err
}

// Free is from when on snapshots are taken: the end of the newest, or a little later where a process ended while it wrote.
func (s *Store) Free() time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.fine.free < 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.fine.free).UTC()
}
