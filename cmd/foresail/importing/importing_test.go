package importing_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/importing"
	"foresail.dev/telemetry/otlp"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/exemplar"
)

func format(t *testing.T, name string) importing.Format {
	t.Helper()
	all := importing.Formats()
	i := slices.IndexFunc(all, func(f importing.Format) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no format %s", name)
	}
	return all[i]
}

// What goes into a history is what is in the file, whatever order it stands in; so are exemplar traces.
func TestIntoAHistory(t *testing.T) {
	start := time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)
	const n = 600
	var in bytes.Buffer
	sum, calls := 0.0, 0.0
	for k := range n {
		i := k * 7 % n // out of order
		took := time.Duration(1+i%50) * time.Millisecond
		s := foresail.Span{Service: "front", Replica: fmt.Sprint("front-", i%2), Operation: "get", Kind: foresail.KindServer, Start: start.Add(time.Duration(i) * 250 * time.Millisecond), Failed: i%100 == 0}
		s.End = s.Start.Add(took)
		binary.BigEndian.PutUint64(s.Trace[:], uint64(i)+1)
		s.ID[0] = 1
		c := s
		c.ID[0], c.Parent, c.Kind, c.Failed = 2, s.ID, foresail.KindClient, false
		b := c
		b.ID[0], b.Parent, b.Kind, b.Service, b.Replica = 3, c.ID, foresail.KindServer, "back", ""
		if !s.Failed {
			sum += took.Seconds()
		}
		calls++
		if err := otlp.WriteJSONLines(&in, []foresail.Span{b, c, s}); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	o := importing.Options{History: filepath.Join(dir, "history"), Traces: filepath.Join(dir, "traces"), Application: "shop", Interval: time.Second, Seed: 1}
	f := format(t, "otlp")
	res, err := f.Run(o, []string{"-"}, bytes.NewReader(in.Bytes()), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(o.History, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := struct{ front, errors, latency, calls, requests, snapshots float64 }{}
	for snap, err := range s.Snapshots(t.Context(), start.Add(-time.Hour), start.Add(time.Hour), 0) {
		if err != nil {
			t.Fatal(err)
		}
		front, _ := s.App().ServiceByName("front")
		st := snap.Services[front]
		got.front += st.Completions
		got.errors += st.Errors
		if st.Latency != nil {
			got.latency += st.Latency.Sum()
		}
		for _, e := range snap.Edges {
			got.calls += e.Calls
		}
		for _, e := range snap.Endpoints {
			got.requests += e.Requests
		}
		got.snapshots++
	}
	if got.front != n || got.errors != n/100 || got.calls != calls || got.requests != n || math.Abs(got.latency-sum) > 1e-6*sum || got.snapshots != float64(*res.Detail.Snapshots) || got.snapshots < 150 {
		t.Errorf("%+v; want %d requests, %d failed, %g s; %d snapshots", got, n, n/100, sum, *res.Detail.Snapshots)
	}
	kept := 0
	for tr, err := range exemplar.Read(o.Traces, exemplar.Query{}, nil) {
		if err != nil || len(tr.Spans) != 3 {
			t.Errorf("%d spans, %v", len(tr.Spans), err)
		}
		kept++
	}
	if kept != int(*res.Detail.Exemplars) || kept < 15 || kept > 30 {
		t.Errorf("%d traces are kept", kept)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Run(o, []string{"-"}, bytes.NewReader(in.Bytes()), nil); err == nil || !errors.Is(err, store.ErrOverlap) {
		t.Errorf("the same again: %v", err)
	}
}

func TestUsage(t *testing.T) {
	f := format(t, "otlp")
	for _, c := range []struct {
		o    importing.Options
		path string
	}{{importing.Options{Interval: time.Second}, "nowhere"}, {importing.Options{Interval: 1}, "-"}} {
		if _, err := f.Run(c.o, []string{c.path}, strings.NewReader(""), nil); !cli.IsUsage(err) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	res, err := f.Run(importing.Options{Interval: time.Second}, []string{"-"}, strings.NewReader(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	res.Head(&out)
	res.Tail(&out)
	if out.String() != "no spans\n" {
		t.Errorf("%q", out.String())
	}
}
