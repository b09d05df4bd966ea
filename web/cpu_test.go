package web_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/systeminfo"
	"github.com/chromedp/chromedp"

	"foresail.dev/web"
)

// The page's budget: under 5 % of a core while it streams 36 services. The server's share is checked here on the CPU
// clock of this process, the feed of ten beats a second included; the browser's is measured by BenchmarkBrowser.
const budget = 0.05

func TestServerShareOfACore(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for seconds: left out with -short")
	}
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app, Mode: "auto"})
	f.seconds(420)
	f.events = append(f.events, s.Events())
	f.seconds(60)
	res, err := http.Get(url + "/api/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	updates := make(chan int)
	go func() {
		n := 0
		for sc := newScanner(res); sc.Scan(); {
			if strings.HasPrefix(sc.Text(), "event: update") {
				n++
			}
		}
		updates <- n
	}()
	// The snapshots are made before the clock runs: making them is the application's work, not the page's.
	var past relay
	f.events = append(f.events[:0], past.events())
	const seconds = 6
	f.seconds(seconds)
	beat := time.NewTicker(100 * time.Millisecond)
	defer beat.Stop()
	start, used := time.Now(), cpu()
	ev := s.Events()
	for _, c := range past.calls {
		c(ev)
		<-beat.C
	}
	share := (cpu() - used).Seconds() / time.Since(start).Seconds()
	res.Body.Close()
	n := <-updates
	t.Logf("server, with one client: %.2f %% of a core, %d updates in %d s", share*100, n, seconds)
	if n < seconds-2 {
		t.Errorf("%d updates in %d s: a stream should send one each second", n, seconds)
	}
	// Half of the budget is the browser's.
	if share > budget/2 {
		t.Errorf("the server uses %.2f %% of a core, more than %.2f %%", share*100, budget/2*100)
	}
}

// cpu is the CPU time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func newScanner(r *http.Response) *bufio.Scanner {
	sc := bufio.NewScanner(r.Body)
	sc.Buffer(nil, 4<<20)
	return sc
}

// BenchmarkBrowser reports what the page costs in a browser while 36 services stream, in percent of a core: the CPU time
// of the main thread, of its whole renderer process and of the GPU process. How long the main thread's tasks take by the
// wall (TaskDuration) comes with it, and is more on a busy machine. One iteration is FORESAIL_BROWSER_SECONDS (20) long:
//
//	go test ./web -run '^$' -bench Browser -benchtime 1x
func BenchmarkBrowser(b *testing.B) {
	seconds := 20
	if v, err := strconv.Atoi(os.Getenv("FORESAIL_BROWSER_SECONDS")); err == nil && v > 0 {
		seconds = v
	}
	for _, v := range []struct{ name, prepare string }{
		{"top", `scrollTo(0, 0)`}, {"charts", `document.querySelector(".charts").scrollIntoView()`}, {"table", `document.querySelector("#svc").scrollIntoView()`},
	} {
		b.Run(v.name, func(b *testing.B) {
			t := browser(b)
			f := newFeeder()
			s, url := serve(b, web.Config{App: f.app, Mode: "auto", Controls: newDemo()})
			f.events = append(f.events, s.Events())
			f.seconds(600)
			t.size(1440, 900, false)
			t.open(url)
			eval[any](t, v.prepare+", null")
			stop, done := make(chan struct{}), make(chan struct{})
			go func() { // real time
				defer close(done)
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for n := 1; ; n++ {
					select {
					case <-stop:
						return
					case <-tick.C:
						if f.beat(); n%150 == 0 {
							f.level = 2.2 - f.level
						}
					}
				}
			}()
			t.do(chromedp.Sleep(3 * time.Second))
			for range b.N {
				before, procs, start := t.metrics(), t.processes(), time.Now()
				t.do(chromedp.Sleep(time.Duration(seconds) * time.Second))
				wall := time.Since(start).Seconds()
				after, procs2 := t.metrics(), t.processes()
				b.ReportMetric(100*(after["TaskDuration"]-before["TaskDuration"])/wall, "tasks-%wall")
				b.ReportMetric(100*(after["ThreadTime"]-before["ThreadTime"])/wall, "main-%core")
				b.ReportMetric(100*(procs2["renderer"]-procs["renderer"])/wall, "renderer-%core")
				b.ReportMetric(100*(procs2["GPU"]-procs["GPU"])/wall, "gpu-%core")
			}
			close(stop)
			<-done
			t.clean()
		})
	}
}

// metrics are the browser's own of the page.
func (b *tab) metrics() map[string]float64 {
	b.T.Helper()
	out := map[string]float64{}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, performance.Enable, performance.EnableParams{}); err != nil {
			return err
		}
		r, err := cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
		for _, m := range r.Metrics {
			out[m.Name] = m.Value
		}
		return err
	}))
	return out
}

// processes is the CPU time in seconds of the browser's processes by type.
func (b *tab) processes() map[string]float64 {
	b.T.Helper()
	out := map[string]float64{}
	br := chromedp.FromContext(b.ctx).Browser
	r, err := cdp.Call(b.ctx, br, systeminfo.GetProcessInfo, cdp.Empty{})
	if err != nil {
		b.T.Fatal(fmt.Errorf("process info: %w", err))
	}
	for _, p := range r.ProcessInfo {
		out[string(p.Type)] += p.CPUTime
	}
	return out
}

// BenchmarkObserved is what the loop's goroutine pays for the page: one second of ten beats of 36 services.
func BenchmarkObserved(b *testing.B) {
	f := newFeeder()
	var past relay
	f.events = append(f.events, past.events())
	f.seconds(5)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s, err := web.New(web.Config{App: f.app})
		if err != nil {
			b.Fatal(err)
		}
		ev := s.Events()
		for _, c := range past.calls[:len(past.calls)-10] {
			c(ev)
		}
		b.StartTimer()
		for _, c := range past.calls[len(past.calls)-10:] {
			c(ev)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1e4, "%core")
}
