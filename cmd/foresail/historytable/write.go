package historytable

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/parquet-go/parquet-go"

	"foresail.dev/telemetry/series"
)

// Writer takes rows of one level. Close writes what is left, and leaves what it wrote to open.
type Writer interface {
	Write(Row) error
	Close() error
}

// NewTable writes a table of what people look at: of services and endpoints; other levels have all their columns.
func NewTable(w io.Writer, l series.Level) Writer {
	t := &table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), columns: shown[l]}
	if t.columns == nil {
		for _, c := range Columns(l) {
			t.columns = append(t.columns, shownColumn{strings.ToUpper(strings.ReplaceAll(c.Name, "_", " ")), func(r Row) string { return r.text(c.Name) }})
		}
	}
	return t
}

type shownColumn struct {
	head  string
	value func(Row) string
}

func as(column string) func(Row) string  { return func(r Row) string { return r.text(column) } }
func per(column string) func(Row) string { return func(r Row) string { return r.rate(column) } }

var shown = map[series.Level][]shownColumn{
	series.Service: {{"TIME", as("start")}, {"SERVICE", as("service")}, {"REPLICAS", as("allocated_replicas")}, {"READY", as("ready")}, {"CORES EACH", as("allocated_cpu_cores")},
		{"CORES USED", per("cpu_seconds")}, {"REQUESTS/s", per("arrivals")}, {"ERRORS/s", per("errors")}, {"IN FLIGHT", as("in_flight_mean")}, {"QUEUE", as("queue_mean")},
		{"P50 ms", as("latency_p50_ms")}, {"P99 ms", as("latency_p99_ms")}},
	series.Endpoint: {{"TIME", as("start")}, {"ENDPOINT", as("endpoint")}, {"REQUESTS/s", per("requests")}, {"ERRORS/s", per("errors")}, {"LATE/s", per("late")},
		{"P50 ms", as("latency_p50_ms")}, {"P95 ms", as("latency_p95_ms")}, {"P99 ms", as("latency_p99_ms")}, {"SLOWEST TRACE", as("slowest_trace")}},
}

type table struct {
	w       *tabwriter.Writer
	columns []shownColumn
	begun   bool
	err     error
}

func (t *table) Write(r Row) error {
	line := func(text func(shownColumn) string) {
		for i, c := range t.columns {
			end := "\t"
			if i == len(t.columns)-1 {
				end = "\n"
			}
			if _, err := fmt.Fprint(t.w, text(c)+end); err != nil {
				t.err = err
			}
		}
	}
	if !t.begun {
		t.begun = true
		line(func(c shownColumn) string { return c.head })
	}
	line(func(c shownColumn) string { return c.value(r) })
	return t.err
}

func (t *table) Close() error { return t.w.Flush() }

// NewCSV writes CSV with a header; what was not observed is an empty field.
func NewCSV(w io.Writer, l series.Level) Writer {
	return &csvWriter{w: csv.NewWriter(w), columns: Columns(l)}
}

type csvWriter struct {
	w       *csv.Writer
	columns []Column
	begun   bool
}

func (c *csvWriter) head() error {
	if c.begun {
		return nil
	}
	c.begun = true
	names := make([]string, len(c.columns))
	for i, col := range c.columns {
		names[i] = col.Name
	}
	return c.w.Write(names)
}

func (c *csvWriter) Write(r Row) error {
	if err := c.head(); err != nil {
		return err
	}
	fields := make([]string, len(c.columns))
	for i, col := range c.columns {
		switch v := r[col.Name].(type) {
		case float64:
			fields[i] = strconv.FormatFloat(v, 'g', -1, 64)
		case string:
			fields[i] = v
		case time.Time:
			fields[i] = v.Format(time.RFC3339Nano)
		}
	}
	return c.w.Write(fields)
}

func (c *csvWriter) Close() error {
	if err := c.head(); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

// NewParquet writes Parquet, compressed with zstd: times in milliseconds since 1970 UTC, numbers as doubles, every
// other column optional.
func NewParquet(w io.Writer, l series.Level) Writer {
	columns := Columns(l)
	slices.SortFunc(columns, func(a, b Column) int { return strings.Compare(a.Name, b.Name) }) // as a group orders its fields
	group := parquet.Group{}
	for _, c := range columns {
		var leaf parquet.Node
		switch c.Type {
		case Time:
			leaf = parquet.Timestamp(parquet.Millisecond)
		case Text:
			leaf = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
		default:
			leaf = parquet.Leaf(parquet.DoubleType)
		}
		group[c.Name] = parquet.Optional(leaf)
	}
	return &parquetWriter{columns: columns, w: parquet.NewGenericWriter[any](w, parquet.NewSchema("history_"+l.String(), group),
		parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(100_000))}
}

type parquetWriter struct {
	w       *parquet.GenericWriter[any]
	columns []Column
	rows    []parquet.Row
}

func (p *parquetWriter) Write(r Row) error {
	row := make(parquet.Row, len(p.columns))
	for i, c := range p.columns {
		switch v := r[c.Name].(type) {
		case float64:
			row[i] = parquet.DoubleValue(v).Level(0, 1, i)
		case string:
			row[i] = parquet.ByteArrayValue([]byte(v)).Level(0, 1, i)
		case time.Time:
			row[i] = parquet.Int64Value(v.UnixMilli()).Level(0, 1, i)
		default:
			row[i] = parquet.NullValue().Level(0, 0, i)
		}
	}
	if p.rows = append(p.rows, row); len(p.rows) < 1000 {
		return nil
	}
	return p.flush()
}

func (p *parquetWriter) flush() error {
	_, err := p.w.WriteRows(p.rows)
	p.rows = p.rows[:0]
	return err
}

func (p *parquetWriter) Close() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.w.Close()
}
