package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"foresail.dev/telemetry/series"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 512 << 20

// reader asks a server that answers PromQL.
type reader struct {
	cfg      Config
	api      v1.API
	matchers string // label matchers of the history
}

func newReader(cfg Config) (*reader, error) {
	next := http.DefaultTransport
	if cfg.Client != nil && cfg.Client.Transport != nil {
		next = cfg.Client.Transport
	}
	c, err := api.NewClient(api.Config{Address: cfg.URL, RoundTripper: &limited{next, cfg.Headers}})
	if err != nil {
		return nil, errors.New("remote history: the URL to read from does not parse: write it like http://host:9090")
	}
	return &reader{cfg: cfg, api: v1.NewAPI(c),
		matchers: fmt.Sprintf("application=%s,%s=%s", quoted(series.Text(cfg.App.Name)), Label, quoted(cfg.Name))}, nil
}

func quoted(s string) string { return strconv.Quote(s) }

// limited adds headers and cuts off an answer that never ends.
type limited struct {
	next    http.RoundTripper
	headers map[string]string
}

func (l *limited) RoundTrip(req *http.Request) (*http.Response, error) {
	if len(l.headers) > 0 {
		req = req.Clone(req.Context())
		for k, v := range l.headers {
			req.Header.Set(k, v)
		}
	}
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// raw is the samples in (from, to], in milliseconds, of the series that a selector finds.
func (r *reader) raw(ctx context.Context, selector string, from, to int64) (model.Matrix, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Wait)
	defer cancel()
	v, _, _, err := r.api.Query(ctx, fmt.Sprintf("%s[%dms]", selector, to-from), time.UnixMilli(to))
	if err != nil {
		return nil, plain(err)
	}
	m, ok := v.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("the server answers with a %s where a matrix was asked for", v.Type())
	}
	return m, nil
}

// plain is an error as a person reads it: one line, of bounded length.
func plain(err error) error {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(err.Error(), "?")), " ")
	if len(text) > 400 {
		text = strings.ToValidUTF8(text[:400], "") + "…"
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("no answer in time: %w", err)
	}
	return errors.New(text)
}

// intervals are those of the snapshots that end in (from, to].
func (r *reader) intervals(ctx context.Context, from, to int64) ([]series.Interval, error) {
	m, err := r.raw(ctx, fmt.Sprintf("%s{%s}", series.SnapshotSeries, r.matchers), from, to)
	if err != nil {
		return nil, err
	}
	var out []series.Interval
	for _, s := range m {
		for _, p := range s.Values {
			if d := float64(p.Value); d > 0 && d < (24*time.Hour).Seconds() {
				out = append(out, series.IntervalOf(int64(p.Timestamp), d))
			}
		}
	}
	return out, nil
}

// cellsLooked is how many pieces of the time looked back over are asked for at once, fewer than servers allow.
const cellsLooked = 5000

// extent is the start of the oldest and the end of the newest snapshot; zero: there is none.
func (r *reader) extent(ctx context.Context) (first, last time.Time, err error) {
	now := r.cfg.Now()
	cell := max(r.cfg.Since/cellsLooked, time.Minute)
	end := now.Add(time.Minute).Truncate(cell).Add(cell)
	start := end.Add(-r.cfg.Since).Truncate(cell)
	wait, cancel := context.WithTimeout(ctx, r.cfg.Wait)
	defer cancel()
	v, _, _, err := r.api.QueryRange(wait, fmt.Sprintf("count_over_time(%s{%s}[%dms])", series.SnapshotSeries, r.matchers, cell.Milliseconds()),
		v1.Range{Start: start, End: end, Step: cell})
	if err != nil {
		return first, last, plain(err)
	}
	m, ok := v.(model.Matrix)
	if !ok || len(m) == 0 || len(m[0].Values) == 0 {
		return first, last, nil
	}
	at := func(p model.SamplePair, newest bool) (time.Time, error) {
		all, err := r.intervals(ctx, int64(p.Timestamp)-cell.Milliseconds(), int64(p.Timestamp))
		switch {
		case err != nil || len(all) == 0:
			return time.Time{}, err
		case newest:
			return time.UnixMilli(all[len(all)-1].End).UTC(), nil
		}
		return time.UnixMilli(all[0].Start).UTC(), nil
	}
	if first, err = at(m[0].Values[0], false); err != nil {
		return first, last, err
	}
	last, err = at(m[0].Values[len(m[0].Values)-1], true)
	return first, last, err
}
