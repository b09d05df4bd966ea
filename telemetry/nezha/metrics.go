package nezha

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

// maxCells bounds the pairs of a minute and a service that are held: a week of 50 services.
const maxCells = 500_000

// tables make one snapshot a minute out of rows that come file by file.
type tables struct {
	c       *source.Collector
	app     *foresail.App
	ids     map[string]foresail.ServiceID
	minutes map[int64]*foresail.Snapshot // by their end, in minutes since 1970
	seen    map[int64]map[string]bool    // pods told in a minute
	front   []front
	cells   int
	off     int // rows whose TimeStamp is not their Time
}

// front is what users saw in a minute; how many requests they made is the service's to tell.
type front struct {
	minute          int64
	service         string
	success         float64
	hasSuccess      bool
	shares, seconds []float64
}

func newTables(c *source.Collector) tables {
	return tables{c: c, app: &foresail.App{}, ids: map[string]foresail.ServiceID{}, minutes: map[int64]*foresail.Snapshot{}, seen: map[int64]map[string]bool{}}
}

func (t *tables) service(name string) foresail.ServiceID {
	id, ok := t.ids[name]
	if !ok {
		id = foresail.ServiceID(len(t.app.Services))
		t.ids[name] = id
		t.app.Services = append(t.app.Services, foresail.Service{Name: name})
	}
	return id
}

// at is the minute that a row's column Time tells of: the one that ended last.
func (t *tables) at(text, stamp []byte) (int64, error) {
	at, err := instant(text)
	if err != nil {
		return 0, err
	}
	if v, ok, err := source.Float(stamp); err == nil && ok && (v-float64(at.Unix()) > 2 || v-float64(at.Unix()) < -2) {
		t.off++
	}
	return at.Unix() / 60, nil
}

func instant(text []byte) (time.Time, error) {
	s, _, _ := strings.Cut(string(text), " m=")
	at, err := time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", s)
	if err != nil {
		return at, fmt.Errorf("column Time: %.40q is not a time", text)
	}
	return at, nil
}

var errFull = errors.New("no room: the files hold more minutes and services than can be held at once; import fewer at a time")

// cell is a service's place in a minute's snapshot.
func (t *tables) cell(minute int64, id foresail.ServiceID) (*foresail.ServiceStats, error) {
	s := t.minutes[minute]
	if s == nil {
		end := time.Unix(minute*60, 0).UTC()
		s = &foresail.Snapshot{Start: end.Add(-time.Minute), End: end}
		t.minutes[minute] = s
	}
	for len(s.Services) <= int(id) {
		if t.cells >= maxCells {
			return nil, errFull
		}
		t.cells++
		s.Services = append(s.Services, foresail.ServiceStats{})
	}
	return &s.Services[id], nil
}

// pods reads a table of pods.
func (t *tables) pods(h *source.Header) (func([][]byte) error, error) {
	col, err := columns(h, "time", "podname", "timestamp", "cpuusage(m)", "memoryusage(mi)", "networkreceivebytes", "networktransmitbytes",
		"podworkload(ops)", "podserverlatencyp90(s)", "podserverlatencyp95(s)", "podserverlatencyp99(s)")
	if err != nil {
		return nil, err
	}
	return func(f [][]byte) error {
		minute, err := t.at(f[col[0]], f[col[2]])
		if err != nil {
			return err
		}
		name := string(f[col[1]])
		if name == "" {
			return errors.New("PodName: it is missing")
		}
		if t.seen[minute][name] {
			return fmt.Errorf("%s is told twice of the same minute", name)
		}
		u := foresail.Usage{Has: foresail.SignalReady, Ready: 1}
		if err := numbers(&u, f, col[3:]); err != nil {
			return err
		}
		st, err := t.cell(minute, t.service(serviceOf(name)))
		if err != nil {
			return err
		}
		if t.seen[minute] == nil {
			t.seen[minute] = map[string]bool{}
		}
		t.seen[minute][name] = true
		st.Has |= u.Has
		st.Add(&u)
		st.Ready++
		st.Memory += u.Memory
		st.Replicas = append(st.Replicas, foresail.ReplicaStats{Name: name, Usage: u})
		return nil
	}, nil
}

// numbers reads the numbers of a pod's row.
func numbers(u *foresail.Usage, f [][]byte, col []int) error {
	v, has := make([]float64, len(col)), make([]bool, len(col))
	for i, c := range col {
		var err error
		if v[i], has[i], err = source.Float(f[c]); err != nil {
			return err
		}
		if v[i] < 0 {
			return fmt.Errorf("%g is below zero", v[i])
		}
	}
	const minute = 60 // seconds: rates become amounts
	if has[0] {
		u.Has |= foresail.SignalCPU
		u.CPU = v[0] / 1000 * minute
	}
	if has[1] {
		u.Has |= foresail.SignalMemory
		u.Memory = int64(v[1] * (1 << 20))
	}
	if has[2] && has[3] {
		u.Has |= foresail.SignalNetwork
		u.NetIn, u.NetOut = int64(v[2]*minute), int64(v[3]*minute)
	}
	if !has[4] {
		return nil
	}
	u.Has |= foresail.SignalArrivals | foresail.SignalCompletions
	u.Arrivals, u.Completions = v[4]*minute, v[4]*minute
	if has[5] && has[6] && has[7] {
		u.Has |= foresail.SignalLatency
		u.Latency = source.Quantiles(u.Completions, 0, []float64{0.90, 0.95, 0.99}, v[5:8])
	}
	return nil
}

// users reads the table of what users saw.
func (t *tables) users(h *source.Header) (func([][]byte) error, error) {
	col, err := columns(h, "time", "timestamp", "servicename", "successrate(%)", "latencyp50(s)", "latencyp90(s)", "latencyp95(s)", "latencyp99(s)")
	if err != nil {
		return nil, err
	}
	return func(f [][]byte) error {
		minute, err := t.at(f[col[0]], f[col[1]])
		if err != nil {
			return err
		}
		one := front{minute: minute, service: strings.ToLower(string(f[col[2]]))}
		if one.success, one.hasSuccess, err = source.Float(f[col[3]]); err != nil {
			return err
		}
		for i, q := range []float64{0.5, 0.9, 0.95, 0.99} {
			v, ok, err := source.Float(f[col[4+i]])
			if err != nil {
				return err
			}
			if ok {
				one.shares, one.seconds = append(one.shares, q), append(one.seconds, v)
			}
		}
		if len(t.front) >= maxCells {
			return errFull
		}
		t.front = append(t.front, one)
		return nil
	}, nil
}

// calls reads who calls whom. Targets that are addresses are nodes, on which the source runs.
func calls(h *source.Header, add func(from, to string)) (func([][]byte) error, error) {
	col, err := columns(h, "source", "target")
	if err != nil {
		return nil, err
	}
	return func(f [][]byte) error {
		from, to := string(f[col[0]]), string(f[col[1]])
		if _, err := netip.ParseAddr(to); err == nil {
			return nil
		}
		if from == "" || to == "" {
			return errors.New("a name is missing")
		}
		add(from, to)
		return nil
	}, nil
}

// finish tells the minutes in their order.
func (t *tables) finish() error {
	if t.off > 0 {
		t.c.Note("%d rows have a TimeStamp that is not their Time; Time counts", t.off)
	}
	t.endpoints()
	minutes := make([]int64, 0, len(t.minutes))
	for m := range t.minutes {
		minutes = append(minutes, m)
	}
	slices.Sort(minutes)
	for _, m := range minutes {
		s := t.minutes[m]
		for len(s.Services) < len(t.app.Services) {
			s.Services = append(s.Services, foresail.ServiceStats{})
		}
		for len(s.Endpoints) < len(t.app.Endpoints) {
			s.Endpoints = append(s.Endpoints, foresail.EndpointStats{})
		}
		if err := t.c.AddSnapshot(t.app, s); err != nil {
			return err
		}
	}
	return nil
}

// endpoints joins what users saw with the requests that the service counted.
func (t *tables) endpoints() {
	ids := map[string]foresail.EndpointID{}
	for _, one := range t.front {
		entry, ok := t.ids[one.service]
		s := t.minutes[one.minute]
		if !ok || s == nil || int(entry) >= len(s.Services) || !s.Services[entry].Has.Has(foresail.SignalCompletions) || !one.hasSuccess {
			continue
		}
		id, ok := ids[one.service]
		if !ok {
			id = foresail.EndpointID(len(t.app.Endpoints))
			ids[one.service] = id
			t.app.Endpoints = append(t.app.Endpoints, foresail.Endpoint{Name: one.service, Entry: entry})
		}
		for len(s.Endpoints) <= int(id) {
			s.Endpoints = append(s.Endpoints, foresail.EndpointStats{})
		}
		n := s.Services[entry].Completions
		e := &s.Endpoints[id]
		e.Arrivals, e.Requests, e.Errors = n, n, n*min(max(1-one.success/100, 0), 1)
		e.Latency = source.Quantiles(n-e.Errors, 0, one.shares, one.seconds)
		s.Has |= foresail.SignalEndpoints
	}
}
