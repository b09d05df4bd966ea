package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"foresail.dev"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/otlp"
	"foresail.dev/telemetry/relay/receive"
)

func ingestedApp() *foresail.App {
	return &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front"}, {Name: "cart"}, {Name: "db"}},
		Endpoints: []foresail.Endpoint{{Name: "buy", Operation: "POST /buy", Objective: &foresail.Objective{Percentile: 99, Latency: 20 * time.Millisecond}}}}
}

// merging is a process that makes snapshots of the spans that come to it and of what ingesters send, as 'foresail run' does, and
// prints at its end what they add up to.
type merged struct {
	Totals map[string]float64
	Stats  receive.Stats
	Cuts   int
}

func mergingProcess(addr string) error {
	a := telemetry.NewShards(ingestedApp(), telemetry.Options{}, 1)
	spans, err := otlp.Listen(otlp.Config{GRPC: "127.0.0.1:0"}, a)
	if err != nil {
		return err
	}
	server, err := receive.New(receive.Config{}, a).Listen(addr, nil)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s\n", spans.GRPCAddr(), server.Addr())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	out := merged{Totals: map[string]float64{}}
	cut := func(end time.Time) {
		if s := a.Cut(end); s != nil {
			server.Cut(s.End)
			out.Cuts++
			addUp(out.Totals, s)
		}
	}
	tick := time.NewTicker(foresail.Beat)
	for running := true; running; {
		select {
		case <-tick.C:
			cut(time.Now().Add(-150 * time.Millisecond))
		case <-stop:
			running = false
		}
	}
	server.Close()
	cut(time.Now().Add(foresail.Beat))
	out.Stats = server.Stats()
	return json.NewEncoder(os.Stdout).Encode(out)
}

func addUp(to map[string]float64, s *foresail.Snapshot) {
	app := ingestedApp()
	for i := range s.Services {
		u, name := &s.Services[i].Usage, app.Services[i].Name
		to[name+" arrivals"] += u.Arrivals
		to[name+" completions"] += u.Completions
		to[name+" errors"] += u.Errors
		to[name+" busy"] += u.InFlight.Mean * s.Duration().Seconds()
		to[name+" seconds"] += u.Latency.Sum()
	}
	for i := range s.Endpoints {
		to["requests"] += s.Endpoints[i].Requests
		to["late"] += s.Endpoints[i].Late
	}
	for _, e := range s.Edges {
		to[fmt.Sprintf("%d→%d", e.From, e.To)] += e.Calls
	}
	for _, l := range s.Late {
		addUp(to, l)
	}
}

// process is a process of one of these tests.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   *bufio.Reader
	lines chan string // of the error stream
}

func (p *process) end() {
	p.cmd.Process.Kill()
	for range p.lines {
	}
	p.cmd.Wait()
}

// beginMerging starts a merging process.
func beginMerging(t *testing.T, addr string) (p *process, spans, ingesters string) {
	p = begin(t, "merging", addr)
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fmt.Sscan(line, &spans, &ingesters)
	return p, spans, ingesters
}

// beginIngester starts an ingester, and waits until it takes spans.
func beginIngester(t *testing.T, daemon, name string) (p *process, spans string) {
	p = begin(t, "ingest", "--daemon", daemon, "--name", name, "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "", "--json")
	return p, p.says(`takes spans at (\S+)`)
}

// says waits for a line of the error stream.
func (p *process) says(pattern string) string {
	p.t.Helper()
	late := time.After(30 * time.Second)
	re := regexp.MustCompile(pattern)
	for {
		select {
		case l, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("it ended without saying %q", pattern)
			}
			if m := re.FindStringSubmatch(l); m != nil {
				return m[len(m)-1]
			}
		case <-late:
			p.t.Fatalf("it did not say %q", pattern)
		}
	}
}

func begin(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: program(t, args...), lines: make(chan string, 1000)}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(errs); s.Scan(); {
			select {
			case p.lines <- s.Text():
			default:
			}
		}
	}()
	t.Cleanup(p.end)
	return p
}

// stop ends a process and reads what it prints.
func (p *process) stop(into any) {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	b, err := io.ReadAll(p.out)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		p.t.Fatalf("%v: %s", err, b)
	}
}

// senders send the spans of traces to several addresses.
type senders struct {
	t      *testing.T
	rng    *rand.Rand
	traces uint64
}

func (s *senders) to(addr string) ptraceotlp.GRPCClient {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return ptraceotlp.NewGRPCClient(conn)
}

// send sends a request of ten traces that have just ended to one address, and to all of the others as well.
func (s *senders) send(to ptraceotlp.GRPCClient, also ...ptraceotlp.GRPCClient) error {
	var spans []foresail.Span
	now := time.Now()
	for range 10 {
		s.traces++
		var trace foresail.TraceID
		binary.BigEndian.PutUint64(trace[8:], s.traces)
		took := time.Duration(s.rng.IntN(40e6))
		var parent foresail.SpanID
		for k, service := range []string{"front", "cart", "db"} {
			x := foresail.Span{Trace: trace, Parent: parent, Service: service, Replica: service + "-1", Operation: "POST /buy", Kind: foresail.KindServer,
				Start: now.Add(-took), End: now.Add(-time.Duration(k)), Failed: s.rng.IntN(20) == 0}
			binary.BigEndian.PutUint64(x.ID[:], s.traces*8+uint64(k))
			parent = x.ID
			spans = append(spans, x)
		}
	}
	for _, c := range append(also, to) {
		request := ptraceotlp.NewExportRequestFromTraces(otlp.Traces(spans))
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
		a, err := c.Export(ctx, request)
		cancel()
		if err != nil {
			return err
		}
		if n := a.PartialSuccess().RejectedSpans(); n > 0 {
			return fmt.Errorf("%d spans rejected: %s", n, a.PartialSuccess().ErrorMessage())
		}
	}
	return nil
}

// Three ingester processes and one that merges what they count make of a stream of traces what one process makes of it.
func TestThreeIngesterProcessesGiveWhatOneGives(t *testing.T) {
	single, all, _ := beginMerging(t, "127.0.0.1:0")
	main, _, addr := beginMerging(t, "127.0.0.1:0")
	s := senders{t: t, rng: rand.New(rand.NewPCG(1, 2))}
	one := s.to(all)
	var ingesters []*process
	var clients []ptraceotlp.GRPCClient
	for i := range 3 {
		p, spans := beginIngester(t, addr, fmt.Sprintf("ingester-%d", i))
		ingesters, clients = append(ingesters, p), append(clients, s.to(spans))
	}
	for began := time.Now(); time.Since(began) < 1500*time.Millisecond; {
		for _, c := range clients {
			if err := s.send(c, one); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range ingesters {
		var r struct {
			Rows []struct {
				Spans   telemetry.Stats
				Waiting int
				Lost    float64
			}
		}
		p.stop(&r)
		if x := r.Rows[0]; x.Spans.Received == 0 || x.Spans.Dropped.Total()+uint64(x.Waiting) > 0 || x.Lost > 0 {
			t.Errorf("%+v", x)
		}
	}
	var got, want merged
	main.stop(&got)
	single.stop(&want)
	for k, v := range want.Totals {
		if math.Abs(got.Totals[k]-v) > 1e-6*math.Max(v, 1) {
			t.Errorf("%s: %g, want %g", k, got.Totals[k], v)
		}
	}
	st := got.Stats
	if want.Totals["requests"] != float64(s.traces) || st.Spans.Received != 3*s.traces || st.Missing+st.Duplicate+st.Lost+st.Unsure > 0 || len(st.Ingesters) != 3 || st.Silent > 0 {
		t.Errorf("%d traces: %v, %+v", s.traces, want.Totals, st)
	}
	t.Logf("%d spans, %d parts, %d of them after their snapshot, %d of %d snapshots without the part of one", st.Spans.Received, st.Parts, st.Late, st.Incomplete, got.Cuts)
}

// An ingester is killed in mid-stream and another takes its place, then the process that merges is killed and another begins
// at its address: snapshots go on being made, nothing counts twice, and no more is lost than what was in those that were killed.
func TestKilledIngesterAndKilledDaemon(t *testing.T) {
	addr := freePort(t)
	main, _, _ := beginMerging(t, addr)
	s := senders{t: t, rng: rand.New(rand.NewPCG(1, 2))}
	a, spansA := beginIngester(t, addr, "a")
	b, spansB := beginIngester(t, addr, "b")
	toA, toB := s.to(spansA), s.to(spansB)
	feed := func(d time.Duration, to ...ptraceotlp.GRPCClient) {
		t.Helper()
		for began := time.Now(); time.Since(began) < d; {
			for _, c := range to {
				if err := s.send(c); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	feed(500*time.Millisecond, toA, toB)
	b.cmd.Process.Kill()
	killed := s.traces
	b, spansB = beginIngester(t, addr, "b") // by the same name
	toB = s.to(spansB)
	feed(500*time.Millisecond, toA, toB)
	main.cmd.Process.Kill()
	main.cmd.Wait()
	lostWithMain := s.traces
	feed(200*time.Millisecond, toA, toB) // nobody is there
	whileAway := s.traces - lostWithMain
	main, _, _ = beginMerging(t, addr)
	a.says("reports to")
	feed(500*time.Millisecond, toA, toB)
	after := s.traces - lostWithMain
	var rest struct {
		Rows []struct{ Lost, Unsure float64 }
	}
	a.stop(&rest)
	b.stop(&rest)
	var got merged
	main.stop(&got)
	requests := got.Totals["requests"]
	// What was sent before the first was killed may come again only where it was not sent to that one.
	if requests < 0.9*float64(after) || requests > float64(after)+float64(lostWithMain)*0.5 || got.Stats.Lost+got.Stats.Missing+got.Stats.Duplicate > 0 || got.Cuts < 5 {
		t.Errorf("%g requests, of %d sent since: %+v", requests, after, got.Stats)
	}
	t.Logf("of %d traces %d were sent before an ingester was killed, %d before the daemon was, %d while there was none; the new one counts %g in %d snapshots; %d requests unsure",
		s.traces, killed, lostWithMain, whileAway, requests, got.Cuts, got.Stats.Unsure)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A testbed whose processes send their spans to an ingester, which reports to the daemon: the page shows what they do, and the
// result says what came by way of it.
func TestATestbedThroughAnIngester(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a testbed needs permission to make cgroups: run as root")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	daemon, spans := freePort(t), freePort(t)
	file := filepath.Join(t.TempDir(), "foresail.yaml")
	text := fmt.Sprintf(`application: hotel-reservation
load: %s/examples/loads/gentle.yaml
cluster: testbed
mode: observe
listen: 127.0.0.1:0
otlp: {grpc: "127.0.0.1:0", http: ""}
ingesters: {listen: %q}
testbed: {spans: %q}
`, root, daemon, spans)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := begin(t, "ingest", "--daemon", daemon, "--name", "a", "--otlp-grpc", spans, "--otlp-http", "")
	p.says("can't report to")
	d := start(t, "run", "-f", file, "--json")
	p.says("takes spans at")
	until(t, 30*time.Second, "requests on the page", func() bool {
		s, err := d.state()
		return err == nil && len(s.Now.Endpoints) > 0 && s.Now.Endpoints[0].Rate != nil && *s.Now.Endpoints[0].Rate > 0
	})
	res, err := http.Get(d.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(res.Body)
	res.Body.Close()
	for _, want := range []string{`foresail_ingesters{state="reporting"} 1`, `foresail_ingest_requests_lost_total{reason="unsure"} 0`, `foresail_ingest_parts_total{outcome="taken"}`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	if code := d.end(30 * time.Second); code != 0 {
		t.Fatalf("exit status %d\n%s", code, d.stderr())
	}
	var r struct {
		Detail struct {
			Spans  telemetry.Stats
			Ingest receive.Stats
		}
	}
	if err := json.Unmarshal(d.out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if x := r.Detail; x.Spans.Received > 0 || x.Ingest.Spans.Assembled == 0 || x.Ingest.Malformed+x.Ingest.Missing > 0 || !strings.Contains(d.stderr(), "ingesters report to "+daemon) {
		t.Errorf("%+v\n%s", x, d.stderr())
	}
}

// What a person gets wrong is said in one line, with exit status 2.
func TestIngestUsage(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte("secret-value\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"give --daemon":                      {"ingest"},
		"chmod 600":                          {"ingest", "--daemon", "127.0.0.1:1", "--token-file", open},
		"--insecure is the opposite":         {"ingest", "--daemon", "127.0.0.1:1", "--insecure", "--daemon-ca", open},
		"can be reached from other machines": {"ingest", "--daemon", "127.0.0.1:1", "--otlp-grpc", "0.0.0.0:0"},
		"neither a gRPC nor an HTTP address": {"ingest", "--daemon", "127.0.0.1:1", "--otlp-grpc", "", "--otlp-http", ""},
		"--shards 0":                         {"ingest", "--daemon", "127.0.0.1:1", "--shards", "0"},
		"--memory":                           {"ingest", "--daemon", "127.0.0.1:1", "--memory", "much"},
		"TLS CA":                             {"ingest", "--daemon", "127.0.0.1:1", "--daemon-ca", "/none"},
	} {
		out, err := program(t, args...).CombinedOutput()
		if exitOf(err) != "2" || !strings.Contains(string(out), want) || strings.Contains(string(out), "secret-value") {
			t.Errorf("%q: exit status %s\n%s", args, exitOf(err), out)
		}
	}
}
