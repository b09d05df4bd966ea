package instrument

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// answer is a handler's writer, which sees the status. There is one for each request: kept for the next one it would let
// a handler that holds on to its writer write into somebody else's answer.
type answer struct {
	http.ResponseWriter
	request Request
	status  int
	failed  bool
	ended   bool
}

func (a *answer) end() {
	if !a.ended {
		a.ended = true
		a.request.End(a.failed)
	}
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader notes the status; of informational ones there may be several.
func (a *answer) WriteHeader(status int) {
	if a.status < http.StatusOK && a.status != http.StatusSwitchingProtocols {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) written() {
	if a.status < http.StatusOK {
		a.status = http.StatusOK
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.written()
	return a.ResponseWriter.Write(b)
}

// WriteString keeps io.WriteString from copying.
func (a *answer) WriteString(s string) (int, error) {
	a.written()
	return io.WriteString(a.ResponseWriter, s)
}

// ReadFrom keeps sendfile.
func (a *answer) ReadFrom(r io.Reader) (int64, error) {
	a.written()
	return io.Copy(a.ResponseWriter, r)
}

// Flush does nothing where the writer can't.
func (a *answer) Flush() { _ = a.FlushError() }

// FlushError is for http.ResponseController.
func (a *answer) FlushError() error {
	a.written()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Hijack hands the connection over, where the writer can. The request is then answered: what goes on in the connection
// is not a request that waits.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.failed = false
		a.end()
	}
	return conn, rw, err
}

// Push pushes, where the writer can.
func (a *answer) Push(target string, opts *http.PushOptions) error {
	if p, ok := a.ResponseWriter.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}
