package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/tsdb/wlog"
)

// A torn log: the process ended, or the disk was full, while a record was written.
type torn struct {
	segment int
	good    int64 // bytes of the segment that are whole
	lost    int64 // bytes after them
	later   bool  // there is more in later segments, which a reader would not reach
}

// inspectLog reads a write-ahead log to its end; nil: every record is whole.
func inspectLog(dir string) (*torn, error) {
	first, last, err := wlog.Segments(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && last < 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := first; i <= last; i++ {
		t, err := inspectSegment(dir, i)
		if err != nil || t == nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		for j := i + 1; j <= last; j++ {
			if st, err := os.Stat(wlog.SegmentName(dir, j)); err == nil && st.Size() > 0 {
				t.later = true
			}
		}
		return t, nil
	}
	return nil, nil
}

func inspectSegment(dir string, i int) (*torn, error) {
	name := wlog.SegmentName(dir, i)
	segment, err := wlog.OpenReadSegment(name)
	if err != nil {
		return nil, err
	}
	buffered := wlog.NewSegmentBufReader(segment)
	defer buffered.Close()
	r := wlog.NewReader(buffered)
	good := int64(0)
	for r.Next() {
		good = r.Offset()
	}
	if r.Err() == nil {
		return nil, nil
	}
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	return &torn{segment: i, good: good, lost: max(st.Size()-good, 0)}, nil
}

// mendLog cuts a record off that was not written to its end. The database would do so too, by writing the segment anew; a
// process that ends meanwhile would lose what was acknowledged. A log that is damaged further up is left to the database.
func mendLog(dir string) (string, error) {
	t, err := inspectLog(dir)
	if err != nil || t == nil {
		return "", err
	}
	if t.later {
		return fmt.Sprintf("the log in %s is damaged at byte %d of segment %d: what follows is lost", dir, t.good, t.segment), nil
	}
	if err := os.Truncate(wlog.SegmentName(dir, t.segment), t.good); err != nil {
		return "", err
	}
	return fmt.Sprintf("the log in %s is whole up to byte %d of segment %d: the %d bytes of a record that was not written to its end are cut off", dir, t.good, t.segment, t.lost), nil
}

// syncLog forces the newest segment of a log to disk; older ones are when the next is begun.
func syncLog(dir string) error {
	_, last, err := wlog.Segments(dir)
	if err != nil || last < 0 {
		return err
	}
	for _, name := range []string{wlog.SegmentName(dir, last), dir} {
		if err := syncFile(name); err != nil {
			return err
		}
	}
	return nil
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// writeFile puts a file where it is as a whole or not at all.
func writeFile(name string, data []byte) error {
	tmp := name + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	return syncFile(filepath.Dir(name))
}

// usedBytes is the size of all files at and below dir.
func usedBytes(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if st, err := d.Info(); err == nil {
				total += st.Size()
			}
		}
		return nil
	})
	return total
}
