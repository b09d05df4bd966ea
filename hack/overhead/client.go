package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// client sends over connections that stay open, with as little of its own as it can.
type client struct{ conns []*connection }

type connection struct {
	net.Conn
	in *bufio.Reader
}

func dial(addr string, n int) (*client, error) {
	c := &client{}
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		c.conns = append(c.conns, &connection{conn, bufio.NewReader(conn)})
	}
	return c, nil
}

func (c *client) close() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// do makes one request and waits for its answer.
func (c *connection) do(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	_, err = c.in.Discard(int(resp.ContentLength))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server answers %s", resp.Status)
	}
	return err
}

// each runs work on every connection until it is done.
func (c *client) each(work func(i int, conn *connection) error) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(c.conns))
	for i, conn := range c.conns {
		wg.Go(func() {
			if err := work(i, conn); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func request(path string) []byte { return []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n") }

// paced sends so many requests a second, each at its own time, and gives how long each took, in microseconds.
func (c *client) paced(path string, rate float64, d time.Duration) ([]float64, error) {
	req := request(path)
	every := time.Duration(float64(len(c.conns)) / rate * float64(time.Second))
	all := make([][]float64, len(c.conns))
	begun := time.Now()
	err := c.each(func(i int, conn *connection) error {
		for at := every * time.Duration(i) / time.Duration(len(c.conns)); at < d; at += every {
			time.Sleep(at - time.Since(begun))
			sent := time.Now()
			if err := conn.do(req); err != nil {
				return err
			}
			all[i] = append(all[i], float64(time.Since(sent))/1e3)
		}
		return nil
	})
	var out []float64
	for _, v := range all {
		out = append(out, v...)
	}
	return out, err
}

// flood sends one request after the other on a quarter of the connections and gives how many were answered in a second.
func (c *client) flood(path string, d time.Duration) (float64, error) {
	req := request(path)
	var n atomic.Int64
	begun := time.Now()
	err := c.each(func(i int, conn *connection) error {
		for i%4 == 0 && time.Since(begun) < d {
			if err := conn.do(req); err != nil {
				return err
			}
			n.Add(1)
		}
		return nil
	})
	return float64(n.Load()) / time.Since(begun).Seconds(), err
}
