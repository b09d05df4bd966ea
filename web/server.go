package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"foresail.dev/access"
	"foresail.dev/loop"
)

// Limits of the server. A stream outlives the write limit by renewing it before each write.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 20 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 16 << 10
)

// Server serves the page and its API. Its methods may be called from any goroutine. Serve runs until Shutdown, which is
// safe before Serve, after it and twice.
type Server struct {
	cfg      Config
	feed     *feed
	sessions *access.Sessions // nil: everybody may do everything
	handler  http.Handler
	http     *http.Server
	streams  chan struct{} // a token for each stream
	done     chan struct{} // closed by Shutdown: streams end
	once     sync.Once

	mu       sync.Mutex
	listener net.Listener
}

// New checks cfg and builds a server that listens nowhere yet. All faults of cfg are reported at once.
func New(cfg Config) (*Server, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, feed: newFeed(&cfg), streams: make(chan struct{}, cfg.MaxClients), done: make(chan struct{})}
	s.sessions = access.NewSessions(cfg.Tokens)
	s.handler = s.routes()
	s.http = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		TLSConfig:         cfg.TLS,
		ErrorLog:          access.ErrorLog(cfg.Log),
	}
	return s, nil
}

// Events are what the loop tells the page. They take no longer than it takes to summarise one snapshot, and never wait
// for a client. When a snapshot's application is a new generation, the page follows.
func (s *Server) Events() loop.Events {
	return loop.Events{Observed: s.feed.observed, Decided: s.feed.decided}
}

// URL is where the page is, once the server listens.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	addr, scheme := s.cfg.Addr, "http"
	if s.listener != nil {
		addr = s.listener.Addr().String()
	}
	if s.cfg.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + addr
}

// Handler answers the page and the API, with every protection but the address's, for use in another server.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen takes the address and returns it, with the port that was chosen for port 0. A second call returns the same.
func (s *Server) Listen() (net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return s.listener.Addr(), nil
	}
	select {
	case <-s.done:
		return nil, http.ErrServerClosed
	default:
	}
	l, err := net.Listen("tcp", s.cfg.Addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("web: %s is taken by another program: stop it, or choose another address (port 0 takes a free one): %w", s.cfg.Addr, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("web: %s needs a permission that this process lacks: choose a port above 1023: %w", s.cfg.Addr, err)
	case err != nil:
		return nil, fmt.Errorf("web: can't listen on %s: choose another address: %w", s.cfg.Addr, err)
	}
	s.listener = l
	return l.Addr(), nil
}

// Serve answers requests until Shutdown, and then returns nil. It listens first when Listen was not called.
func (s *Server) Serve() error {
	if _, err := s.Listen(); err != nil {
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
	serve := s.http.Serve
	if s.cfg.TLS != nil {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	if err := serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("web: %w", err)
	}
	return nil
}

// Shutdown ends every stream, waits for requests under way until ctx ends, and gives the address back.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(func() { close(s.done) })
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close() // no error to tell: Serve has closed it, unless it never ran
	}
	return err
}
