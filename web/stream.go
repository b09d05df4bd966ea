package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"foresail.dev/access"
)

const (
	// slow is how long a client may take to accept an update before it is dropped.
	slow = 5 * time.Second
	// quiet is after how long without a change a stream says that it is alive, so that a dead client is noticed.
	quiet = 10 * time.Second
)

// getStream sends a whole state, and then what changed, at most once each Config.Every. A client that falls behind
// skips updates: the next one covers all that it missed.
func (s *Server) getStream(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		fail(w, http.StatusServiceUnavailable, fmt.Sprintf("%d streams are open, which is the limit: close a page and try again", cap(s.streams)))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies must not hold events back
	rc := http.NewResponseController(w)
	var seq uint64
	fmt.Fprint(w, "retry: 1000\n\n")
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		if !access.Still(r.Context()) {
			return // the token was revoked: the client is told so when it comes again
		}
		frame, now, next := s.frame(seq)
		if now != seq {
			if !send(w, rc, frame) {
				return
			}
			seq = now
		}
		if !s.rest(r, w, rc, pause, next) {
			return
		}
	}
}

// rest waits until the next update is due; false ends the stream.
func (s *Server) rest(r *http.Request, w http.ResponseWriter, rc *http.ResponseController, timer *time.Timer, next <-chan struct{}) bool {
	wait := func(d time.Duration, wake <-chan struct{}) (woken, ok bool) {
		timer.Reset(d)
		select {
		case <-r.Context().Done():
			return false, false
		case <-s.done:
			return false, false
		case <-wake:
			return true, true
		case <-timer.C:
			return false, true
		}
	}
	// A little less than Every, so that the next second isn't missed by a hair and shown a second late.
	if _, ok := wait(s.cfg.Every-min(s.cfg.Every/10, 5*coalesce), nil); !ok {
		return false
	}
	for {
		woken, ok := wait(quiet, next)
		if !ok {
			return false
		}
		if woken {
			_, ok = wait(coalesce, nil)
			return ok
		}
		if !send(w, rc, []byte(": alive\n\n")) {
			return false
		}
	}
}

// send writes and flushes within the limit for slow clients.
func send(w http.ResponseWriter, rc *http.ResponseController, frame []byte) bool {
	if err := rc.SetWriteDeadline(time.Now().Add(slow)); err != nil {
		return false
	}
	if _, err := w.Write(frame); err != nil {
		return false
	}
	return rc.Flush() == nil
}

// frame is the event that takes a client from update seq to the newest.
func (s *Server) frame(seq uint64) (frame []byte, now uint64, next <-chan struct{}) {
	u, next, whole := s.feed.since(seq)
	u.Load = s.load()
	var buf bytes.Buffer
	event, data := "update", any(u)
	if whole {
		st := s.feed.state()
		st.Now.Load = u.Load
		event, data, u = "state", st, st.Now
	}
	fmt.Fprintf(&buf, "event: %s\nid: %d\ndata: ", event, u.Seq)
	if err := json.NewEncoder(&buf).Encode(data); err != nil { // ends with the first of the two line ends
		return nil, seq, next
	}
	buf.WriteByte('\n')
	return buf.Bytes(), u.Seq, next
}
