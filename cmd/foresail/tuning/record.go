package tuning

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"foresail.dev/model/tune"
)

// recordSchema is the first line's of a file of trials.
const recordSchema = "foresail.dev/tune-trials/v1"

// head is the first line of a file of trials.
type head struct {
	Schema string `json:"schema"`
	File   string `json:"file"` // the hash of what trials hang on
}

// Phases of a trial.
const (
	design  = "design"  // the default setting and the initial design, which all methods share
	search  = "search"  // picked by a method
	confirm = "confirm" // measured again at the end, on other seeds
)

// key is which trial one is.
type key struct {
	Seed      uint64 `json:"seed"` // of the search
	Phase     string `json:"phase"`
	Method    string `json:"method,omitempty"`
	Optimiser string `json:"optimiser,omitempty"`
	Trial     int    `json:"trial"`
}

// Record is one trial, as it ended.
type Record struct {
	key
	Why       string             `json:"why,omitempty"`
	Setting   map[string]string  `json:"setting"`
	Cost      float64            `json:"cost"`
	Predicted *float64           `json:"predicted_ms,omitempty"`
	Spread    *float64           `json:"spread,omitempty"` // standard deviation of the predicted latency's logarithm
	Measured  *float64           `json:"measured_ms,omitempty"`
	Slack     *float64           `json:"slack,omitempty"`
	Verdict   tune.Verdict       `json:"verdict"`
	Reason    string             `json:"reason,omitempty"` // of a verdict that is not fine
	Requests  float64            `json:"requests"`
	Errors    float64            `json:"errors"`
	Metrics   map[string]float64 `json:"metrics,omitempty"` // of services, seconds
	Calls     [][2]string        `json:"calls,omitempty"`
	Took      float64            `json:"took_s"`
	At        time.Time          `json:"at"`
}

func (r *Record) trial(v tune.Setting) tune.Trial {
	t := tune.Trial{Setting: v, Verdict: r.Verdict, Metrics: r.Metrics, Calls: r.Calls}
	if r.Measured != nil {
		t.Latency = *r.Measured / 1000
	}
	if r.Slack != nil {
		t.Slack = *r.Slack
	}
	return t
}

// journal is a file of trials: each is there, whole, as soon as it ended.
type journal struct {
	f    *os.File
	done map[key]Record
}

// create makes a new file; one that is there already is left alone.
func create(path, hash string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	j := &journal{f: f, done: map[key]Record{}}
	if err := j.line(head{recordSchema, hash}); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

// maxJournal bounds what is read of a file of trials.
const maxJournal = 1 << 30

// resume goes on with a file. What a crash left of a last line is cut off.
func resume(path, hash string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxJournal+1))
	if err == nil && len(data) > maxJournal {
		err = errors.New("it is too large")
	}
	j := &journal{f: f}
	whole := 0
	if err == nil {
		j.done, whole, err = parse(data, hash)
	}
	if err == nil {
		if err = f.Truncate(int64(whole)); err == nil {
			_, err = f.Seek(int64(whole), io.SeekStart)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return j, nil
}

// parse reads trials, and says how many bytes whole lines have. Every line but an unfinished last one must be right.
func parse(data []byte, hash string) (map[key]Record, int, error) {
	out := map[key]Record{}
	whole := 0
	for n := 1; ; n++ {
		line, rest, ok := bytes.Cut(data[whole:], []byte{'\n'})
		if !ok {
			if n == 1 {
				return nil, 0, errors.New("it is no file of trials: its first line is not whole")
			}
			return out, whole, nil
		}
		if n == 1 {
			var h head
			if err := json.Unmarshal(line, &h); err != nil || h.Schema != recordSchema {
				return nil, 0, fmt.Errorf("it is no file of trials: its first line does not say %s", recordSchema)
			}
			if h.File != hash {
				return nil, 0, errors.New("its trials are of another file, or of an earlier version of it: tune anew, with another --trials")
			}
		} else {
			var r Record
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, 0, fmt.Errorf("line %d is no trial: %w", n, err)
			}
			if _, twice := out[r.key]; twice {
				return nil, 0, fmt.Errorf("line %d: trial %d of %s %s, seed %d, is there twice", n, r.Trial, r.Method, r.Optimiser, r.Seed)
			}
			out[r.key] = r
		}
		whole = len(data) - len(rest)
	}
}

// add writes a trial, and has it on disk before anything else happens.
func (j *journal) add(r Record) error {
	if err := j.line(r); err != nil {
		return fmt.Errorf("recording a trial: %w", err)
	}
	j.done[r.key] = r
	return nil
}

func (j *journal) line(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = j.f.Write(append(b, '\n'))
	}
	if err == nil {
		err = j.f.Sync()
	}
	return err
}

func (j *journal) close() error { return j.f.Close() }
