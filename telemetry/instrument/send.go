package instrument

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	sendTime = time.Second // for one report to get through
	pause    = time.Second // after one failed: nothing is sent
)

// Stats count reports.
type Stats struct {
	Sent    uint64 // taken by the receiver
	Dropped uint64 // not sent, or refused: their gauges are lost
	Err     error  // why the last one failed; nil when it didn't
}

// sender sends one report after the other. While one is under way the next ones are dropped, so a receiver that is slow
// or gone makes nobody wait and holds no more than one report.
type sender struct {
	client  http.Client
	url     string
	header  http.Header
	trouble func(error)
	buf     []byte // of the report under way
	full    chan struct{}
	idle    chan struct{} // holds a token while nothing is under way
	ended   chan struct{}

	mu      sync.Mutex
	counts  Stats
	resume  time.Time // after a failure
	failing bool
}

func newSender(c *Config) *sender {
	transport := c.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConns, t.MaxConnsPerHost, t.DisableCompression = 1, 1, true
		transport = t
	}
	s := &sender{client: http.Client{Transport: transport, Timeout: sendTime}, url: c.URL, header: c.Header, trouble: c.Trouble,
		full: make(chan struct{}, 1), idle: make(chan struct{}, 1), ended: make(chan struct{})}
	s.idle <- struct{}{}
	go s.run()
	return s
}

func (s *sender) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// send takes a report to be sent unless another is under way, or the last one failed just now.
func (s *sender) send(report func() []byte) {
	s.mu.Lock()
	paused := time.Now().Before(s.resume)
	s.mu.Unlock()
	select {
	case <-s.idle:
		if !paused {
			s.buf = append(s.buf[:0], report()...)
			s.full <- struct{}{}
			return
		}
		s.idle <- struct{}{}
	default:
	}
	s.mu.Lock()
	s.counts.Dropped++
	s.mu.Unlock()
}

// close waits for the report under way, then ends.
func (s *sender) close() {
	close(s.full)
	<-s.ended
	s.client.CloseIdleConnections()
}

func (s *sender) run() {
	defer close(s.ended)
	for range s.full {
		s.done(s.post())
		s.idle <- struct{}{}
	}
}

func (s *sender) done(err error) {
	s.mu.Lock()
	if s.counts.Err = err; err != nil {
		s.counts.Dropped++
		s.resume = time.Now().Add(pause)
	} else {
		s.counts.Sent++
	}
	turned := s.failing != (err != nil)
	s.failing = err != nil
	s.mu.Unlock()
	if turned && s.trouble != nil {
		s.trouble(err)
	}
}

func (s *sender) post() error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.url, bytes.NewReader(s.buf))
	if err != nil {
		return err
	}
	req.Header = s.header
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("instrument: report: %w", err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // what is missing of a message is not worth an error
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("instrument: report to %s: %s: %s", req.URL.Redacted(), resp.Status, bytes.ToValidUTF8(text, nil))
	}
	return nil
}
