package access

import (
	"log"
	"strings"
	"sync"
	"time"
)

// maxErrors is how many lines of a server's error log are passed on in a minute.
const maxErrors = 10

// ErrorLog is for http.Server.ErrorLog: it passes on a few lines a minute, since whoever reaches the port can cause
// one with each connection that is no TLS.
func ErrorLog(to func(string)) *log.Logger {
	return log.New(&limitedLog{to: to, now: time.Now}, "", 0)
}

type limitedLog struct {
	to  func(string)
	now func() time.Time

	mu    sync.Mutex
	since time.Time
	n     int
}

// Write takes one line of the log, and tells it unless there were many of late.
func (l *limitedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); l.n == 0 || now.Sub(l.since) >= window {
		l.since, l.n = now, 0
	}
	if l.n++; l.n <= maxErrors && l.to != nil {
		l.to(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}
