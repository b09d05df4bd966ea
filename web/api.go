package web

import (
	"encoding/json"
	"net/http"
	"time"

	"foresail.dev/access"
)

func (s *Server) routes() http.Handler {
	api := http.NewServeMux()
	can := func(role access.Role, h http.HandlerFunc) http.Handler { return s.sessions.HTTP(role, h) }
	api.Handle("GET /api/v1/app", can(access.Read, s.getApp))
	api.Handle("GET /api/v1/state", can(access.Read, s.getState))
	api.Handle("GET /api/v1/stream", can(access.Read, s.getStream))
	api.Handle("GET /api/v1/insights", can(access.Read, s.getInsights))
	api.Handle("GET /api/v1/callgraphs", can(access.Read, s.getCallGraphs))
	api.Handle("POST /api/v1/load", can(access.Write, s.postLoad))
	api.Handle("/api/", can(access.Read, func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "no such thing here: GET /api/v1/app, state, stream, insights, callgraphs, session, healthz or POST /api/v1/load")
	}))
	// Open to all who reach the port: probes can't keep a secret, the page's own files are none, and who has no token yet must be able to log in.
	api.HandleFunc("GET /api/v1/healthz", s.getHealth)
	if s.cfg.Metrics != nil {
		api.Handle("GET /metrics", can(access.Read, s.cfg.Metrics.ServeHTTP))
	}
	api.HandleFunc("GET /api/v1/session", s.getSession)
	api.HandleFunc("POST /api/v1/login", s.postLogin)
	api.HandleFunc("POST /api/v1/logout", s.postLogout)
	api.HandleFunc("/", s.serveFiles)
	return protect(api, s.cfg.Hosts)
}

func (s *Server) getApp(w http.ResponseWriter, _ *http.Request) {
	s.feed.mu.Lock()
	v := s.feed.appView
	s.feed.mu.Unlock()
	reply(w, http.StatusOK, v)
}

func (s *Server) getState(w http.ResponseWriter, _ *http.Request) {
	v := s.feed.state()
	v.Now.Load = s.load()
	reply(w, http.StatusOK, v)
}

// load is the load now; nil where it can't be shifted.
func (s *Server) load() *LoadState {
	if s.cfg.Controls == nil {
		return nil
	}
	l := s.cfg.Controls.Load()
	return &l
}

// health is what a probe reads: the server answers, and how far the loop is.
type health struct {
	Status  string `json:"status"` // ok, stale (nothing observed of late) or waiting (no snapshot yet)
	Seq     uint64 `json:"seq"`
	At      string `json:"at,omitempty"` // end of the newest second
	SilentS value  `json:"silent_s,omitzero"`
}

func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) {
	f := s.feed
	f.mu.Lock()
	h := health{Status: "ok", Seq: f.seq, SilentS: f.silent()}
	if f.stale {
		h.Status = "stale"
	}
	if f.second.IsZero() {
		h.Status = "waiting"
	} else {
		h.At = f.second.UTC().Format(time.RFC3339Nano)
	}
	f.mu.Unlock()
	reply(w, http.StatusOK, h)
}

// reply sends v as JSON. Everything that is sent can be encoded, so an error is the client's connection.
func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}

// fail tells what is wrong and what to do.
func fail(w http.ResponseWriter, code int, msg string) {
	reply(w, code, map[string]string{"error": msg})
}
