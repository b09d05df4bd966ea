package rpc

import (
	"io"
	"net"
	"net/http"
	"strconv"

	"foresail.dev/cluster/testbed/wire"
)

// filler is what is left of a body of zeros: how long a message is counts here, not what it says.
type filler struct{ left int64 }

func (f *filler) Read(b []byte) (int, error) {
	if f.left <= 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), f.left))
	clear(b[:n])
	f.left -= int64(n)
	return n, nil
}

func (f *filler) Close() error { return nil }

// body is a request's, of n bytes.
func body(req *http.Request, n int64) {
	if n <= 0 {
		return
	}
	// The body can be had again, so that a request whose idle connection the callee has just closed goes over another,
	// as one without a body does.
	req.GetBody = func() (io.ReadCloser, error) { return &filler{left: n}, nil }
	req.Body, req.ContentLength = &filler{left: n}, n
}

// Receive reads a request's body to its end. An error means that the caller has given up.
func Receive(req *http.Request) error {
	_, err := io.Copy(io.Discard, req.Body)
	return err
}

var (
	zeros [32 << 10]byte
	plain = []string{"application/octet-stream"}
)

// Answer sends a body of n bytes. When the caller has given up, there is nobody to tell.
func Answer(w http.ResponseWriter, n int64) {
	if n <= 0 {
		return
	}
	w.Header()["Content-Type"] = plain
	w.Header()["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	for n > 0 {
		part, err := w.Write(zeros[:min(n, int64(len(zeros)))])
		if err != nil {
			return
		}
		n -= int64(part)
	}
}

// counted is a connection whose bytes are counted.
type counted struct {
	net.Conn
	traffic *wire.Traffic
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.traffic.Received(n)
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.traffic.Sent(n)
	return n, err
}

// listener counts the bytes of the connections that it accepts.
type listener struct {
	net.Listener
	traffic *wire.Traffic
}

// Listener counts the bytes of all connections that l accepts.
func Listener(l net.Listener, t *wire.Traffic) net.Listener { return &listener{l, t} }

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &counted{c, l.traffic}, nil
}
