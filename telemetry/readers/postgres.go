package readers

import (
	"context"
	"fmt"
	"strconv"

	"foresail.dev"
	"github.com/jackc/pgx/v5/pgconn"
)

type postgres struct {
	config *pgconn.Config
	conn   *pgconn.PgConn
}

func newPostgres(address, password string) (*postgres, error) {
	c, err := pgconn.ParseConfig(address)
	if err != nil {
		return nil, err // it leaves the password out
	}
	if password != "" {
		c.Password = password
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "foresail"
	}
	return &postgres{config: c}, nil
}

// activity counts over all databases. Backends of the server's own are of other types than client backend.
const activity = `SELECT
	(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND state IN ('active', 'fastpath function call') AND pid <> pg_backend_pid()),
	(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND state = 'active' AND wait_event_type = 'Lock'),
	(SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database)`

func (p *postgres) Read(ctx context.Context) (Reading, error) {
	r, err := p.read(ctx)
	if err != nil {
		_ = p.Close() // the error says what was wrong
	}
	return r, err
}

func (p *postgres) read(ctx context.Context) (r Reading, err error) {
	if p.conn == nil {
		if p.conn, err = pgconn.ConnectConfig(ctx, p.config); err != nil {
			p.conn = nil
			return r, err
		}
	}
	results, err := p.conn.Exec(ctx, activity).ReadAll()
	if err != nil {
		return r, err
	}
	return parsePostgres(results)
}

// parsePostgres reads the one row of activity, as text.
func parsePostgres(results []*pgconn.Result) (r Reading, err error) {
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 3 {
		return r, fmt.Errorf("postgres does not answer with a row of three numbers")
	}
	var n [3]float64
	for i, b := range results[0].Rows[0] {
		v, err := strconv.ParseUint(string(b), 10, 63)
		if err != nil {
			return r, fmt.Errorf("postgres: %w", err)
		}
		n[i] = float64(v)
	}
	return Reading{Has: foresail.SignalInFlight | foresail.SignalQueue | foresail.SignalCompletions,
		InFlight: n[0], Queue: min(n[1], n[0]), Completions: n[2], Busy: -1}, nil
}

func (p *postgres) Close() error {
	if p.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := p.conn.Close(ctx)
	p.conn = nil
	return err
}
