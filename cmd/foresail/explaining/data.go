package explaining

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/steps"
)

// inData reads it from a data set.
func (f *from) inData() (*moment, error) {
	files, err := steps.ReadDir(f.data, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Usagef("--data: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	app, err := f.applicationOf(&files[0].Header.Schema)
	if err != nil {
		return nil, err
	}
	run, at, err := f.choose(steps.Runs(files))
	if err != nil {
		return nil, err
	}
	m := &moment{app: app, at: at}
	for _, s := range run.Steps {
		switch {
		case !s.End.After(at):
			m.past = append(m.past, s)
		case len(m.next) < tail.Horizon:
			m.next = append(m.next, s)
		}
	}
	oldest, newest := ends(run)
	return m, m.whole(f.at, oldest, newest)
}

// applicationOf finds the application that a data set is of.
func (f *from) applicationOf(s *tail.Schema) (*foresail.App, error) {
	name := f.application
	if name == "" {
		name = s.Name
	}
	b, err := appfile.ReadApp(name)
	if err != nil && f.application == "" {
		return nil, cli.Usagef("--data: it is of application %s, which is no built-in one: name its file with --application", printable(s.Name))
	}
	if err != nil {
		return nil, cli.Usage(err)
	}
	have := tail.SchemaOf(b.App)
	if err := s.Differs(&have); err != nil {
		return nil, cli.Usagef("--data %s does not fit application %s: %w", f.data, name, err)
	}
	return b.App, nil
}

func ends(r *tail.Run) (oldest, newest time.Time) {
	return r.Steps[0].End.Add(-tail.Interval), r.Steps[len(r.Steps)-1].End
}

// choose finds the run that is meant, and the moment in it. Simulated runs may all begin at the same time.
func (f *from) choose(runs []tail.Run) (*tail.Run, time.Time, error) {
	var having []*tail.Run
	var at time.Time
	var names []string
	for i := range runs {
		r := &runs[i]
		if len(r.Steps) == 0 || f.run != "" && r.Name != f.run {
			names = append(names, r.Name)
			continue
		}
		oldest, newest := ends(r)
		t, err := history.Moment("at", f.at, oldest, newest)
		if err != nil {
			return nil, t, err
		}
		if t = t.Truncate(tail.Interval); t.Before(oldest) || t.After(newest) {
			if f.run != "" {
				return nil, t, cli.Usagef("--at %s: run %s goes from %s to %s", f.at, r.Name, stamp(oldest), stamp(newest))
			}
			continue
		}
		having, at = append(having, r), t
	}
	switch {
	case len(having) == 1:
		return having[0], at, nil
	case f.run != "":
		return nil, at, cli.Usagef("--run %s: there is no such run in %s: it has %s", f.run, f.data, some(names))
	case len(having) == 0:
		return nil, at, cli.Usagef("--at %s: no run in %s has this time", f.at, f.data)
	}
	names = nil
	for _, r := range having {
		names = append(names, r.Name)
	}
	return nil, at, cli.Usagef("--at %s: %d runs in %s have this time: name one with --run: %s", f.at, len(having), f.data, some(names))
}

// some are the first few of many names.
func some(names []string) string {
	text := strings.Join(names[:min(len(names), 6)], ", ")
	if n := len(names) - 6; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
