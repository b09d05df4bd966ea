package web

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"foresail.dev/access"
)

// maxLoginBody is more than any token needs.
const maxLoginBody = 4 << 10

// sessionView says who asks.
type sessionView struct {
	Tokens bool   `json:"tokens"`         // whether this server asks for any
	Name   string `json:"name,omitempty"` // of the token
	Role   string `json:"role"`           // read, or write, which may also change things
}

// getSession says who asks and what they may do, so that the page knows whether to ask for a token.
func (s *Server) getSession(w http.ResponseWriter, r *http.Request) {
	if s.sessions == nil {
		reply(w, http.StatusOK, sessionView{Role: access.Write.String()})
		return
	}
	if !s.sessions.Carries(r) {
		fail(w, http.StatusUnauthorized, "not logged in") // nobody's fault, so it isn't counted or logged
		return
	}
	in, refusal := s.sessions.Request(r, access.Read)
	if refusal != nil {
		refusal.Answer(w)
		return
	}
	who, _ := access.From(in.Context())
	reply(w, http.StatusOK, sessionView{Tokens: true, Name: who.Name, Role: who.Role.String()})
}

// postLogin takes a token as JSON, which no form of a foreign page can send.
func (s *Server) postLogin(w http.ResponseWriter, r *http.Request) {
	if s.sessions == nil {
		fail(w, http.StatusNotFound, "no login is needed: this server asks for no token")
		return
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "send the token as Content-Type: application/json")
		return
	}
	var in struct {
		Token access.Secret `json:"token"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLoginBody)).Decode(&in); err != nil || in.Token.IsZero() {
		fail(w, http.StatusBadRequest, `send {"token": "..."}`) // the error would quote what was sent
		return
	}
	who, refusal := s.sessions.Login(w, r, in.Token)
	if refusal != nil {
		refusal.Answer(w)
		return
	}
	reply(w, http.StatusOK, sessionView{Tokens: true, Name: who.Name, Role: who.Role.String()})
}

func (s *Server) postLogout(w http.ResponseWriter, r *http.Request) {
	if s.sessions != nil {
		s.sessions.Logout(w, r)
	}
	reply(w, http.StatusOK, map[string]bool{"ok": true})
}

// serveFiles serves the page's files. Who opens the page itself without being logged in is sent to log in; the files
// hold nothing of the application, so no more is kept from anybody.
func (s *Server) serveFiles(w http.ResponseWriter, r *http.Request) {
	page := r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
	if s.sessions != nil && page && strings.Contains(r.Header.Get("Accept"), "text/html") {
		let := false
		if s.sessions.Carries(r) {
			_, refusal := s.sessions.Request(r, access.Read)
			let = refusal == nil
		}
		if !let {
			w.Header().Set("Cache-Control", "no-store")
			http.Redirect(w, r, "/login.html", http.StatusSeeOther)
			return
		}
	}
	serveStatic(w, r)
}
