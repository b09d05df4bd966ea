package store

import (
	"context"
	"errors"
	"time"

	"foresail.dev"
)

// OpenSmall opens a store whose blocks are short.
func OpenSmall(dir string, o Options, block time.Duration) (*Store, error) {
	o.block = block
	return Open(dir, o)
}

// OpenIn opens a store on a disk with as much room as told.
func OpenIn(dir string, o Options, room func() int64) (*Store, error) {
	o.room = func(string) (int64, error) { return room(), nil }
	return Open(dir, o)
}

// Compact does what the database does beside, now.
func (s *Store) Compact() error {
	return errors.Join(s.fine.db.Compact(context.Background()), s.minutes.db.Compact(context.Background()))
}

// TearMinute writes a minute as a process that is killed does: without the sample that completes it.
func (s *Store) TearMinute(app *foresail.App, m *foresail.Snapshot) error {
	torn := *m
	torn.End = torn.Start.Add(time.Minute)
	all, err := s.minutes.encoder.Encode(app, &torn)
	if err != nil {
		return err
	}
	return s.minutes.commit(all[:len(all)-1])
}
