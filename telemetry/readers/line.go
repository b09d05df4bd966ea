package readers

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"time"
)

// line is a connection to a server that speaks in lines. It is opened when it is needed, and closed on any error.
type line struct {
	address string // host:port, or the path of a unix socket
	conn    net.Conn
	in      *bufio.Reader
	left    int // bytes of an answer that may still be read
}

// ask sends a request once the line is open; opened tells that it was just opened.
func (l *line) open(ctx context.Context) (opened bool, err error) {
	if l.conn == nil {
		network := "tcp"
		if strings.HasPrefix(l.address, "/") {
			network = "unix"
		}
		var d net.Dialer
		if l.conn, err = d.DialContext(ctx, network, l.address); err != nil {
			l.conn = nil
			return false, err
		}
		l.in, opened = bufio.NewReader(l.conn), true
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Time{}
	}
	return opened, l.conn.SetDeadline(deadline)
}

func (l *line) send(request string) error {
	l.left = maxAnswer
	_, err := l.conn.Write([]byte(request))
	return err
}

// next is the next line of the answer, without its end.
func (l *line) next() (string, error) {
	b, err := l.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || len(b) > l.left {
		return "", errLarge
	}
	if err != nil {
		return "", err
	}
	l.left -= len(b)
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (l *line) close() error {
	if l.conn == nil {
		return nil
	}
	err := l.conn.Close()
	l.conn, l.in = nil, nil
	return err
}

// check closes the line after an error, so that the next request begins anew.
func (l *line) check(err error) error {
	if err != nil {
		_ = l.close() // the error says what was wrong
	}
	return err
}
