package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"foresail.dev/telemetry/instrument"
)

// serve is the server process: it prints its address, serves until its standard input ends, then prints how many reports
// it sent.
func serve(work, reports string) error {
	d, err := time.ParseDuration(work)
	if err != nil {
		return err
	}
	in, err := instrument.New(instrument.Config{Service: "overhead", URL: reports})
	if err != nil {
		return err
	}
	h := http.HandlerFunc(handler(rounds(d)))
	mux := http.NewServeMux()
	mux.Handle("/plain", h)
	mux.Handle("/counted", in.Handle("/counted", h))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	s := http.Server{Handler: mux}
	go func() { _ = s.Serve(l) }() // ends with Close
	_, _ = io.Copy(io.Discard, os.Stdin)
	in.Close()
	fmt.Println(in.Stats().Sent, in.Server("/counted").Counts().Completions)
	return s.Close()
}

var body = strings.Repeat("x", 512)

// handler hashes so many times, and answers.
func handler(rounds int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		sum := [32]byte{1}
		for range rounds {
			sum = sha256.Sum256(sum[:])
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, body[:512-int(sum[0])%2]) // the client is this program
	}
}

// rounds is how many hashes take so long: the fastest of several tries.
func rounds(d time.Duration) int {
	const n = 10_000
	best := time.Hour
	sum := [32]byte{}
	for range 10 {
		begun := time.Now()
		for range n {
			sum = sha256.Sum256(sum[:])
		}
		best = min(best, time.Since(begun))
	}
	return int(d * n / max(best, 1))
}

// server is a running server process, with the receiver of its reports.
type server struct {
	addr    string
	cmd     *exec.Cmd
	in      io.Closer
	out     *bufio.Reader
	sink    net.Listener
	reports atomic.Int64
}

func startServer(work time.Duration) (*server, error) {
	s := &server{}
	var err error
	if s.sink, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go func() { // ends with the listener
		_ = http.Serve(s.sink, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			s.reports.Add(1)
		}))
	}()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s.cmd = exec.Command(self, "serve", work.String(), "http://"+s.sink.Addr().String())
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := s.out.ReadString('\n')
	s.addr = strings.TrimSpace(line)
	return s, err
}

// check tells whether requests were counted and reported.
func (s *server) check() error {
	_ = s.in.Close()
	line, err := s.out.ReadString('\n')
	var sent, counted int
	if _, serr := fmt.Sscan(line, &sent, &counted); serr != nil || sent == 0 || counted == 0 {
		return errors.Join(err, fmt.Errorf("nothing was counted or reported: %q", line))
	}
	fmt.Fprintf(os.Stderr, "%d requests counted, %d reports sent\n", counted, sent)
	return nil
}

func (s *server) stop() {
	_ = s.in.Close()
	_ = s.cmd.Wait()
	_ = s.sink.Close()
}
