package wire

import (
	"errors"
	"io"
)

var errGone = errors.New("the parent is gone")

// Serve is the life of a child process: it hands each order of in to take, one after the other, until take fails, in is
// over, which means that the parent is gone, or an error, nil for an orderly end, is sent to ended. It tells the parent
// of a failure through out and returns the process's exit code: 0 after an orderly end, otherwise 1.
func Serve(in io.Reader, out *Writer, take func(m ToChild, ended chan<- error) error) int {
	ended := make(chan error, 2)
	go func() {
		err := Read(in, func(m ToChild) error { return take(m, ended) })
		if err == nil {
			err = errGone
		}
		ended <- err
	}()
	err := <-ended
	if err == nil {
		return 0
	}
	if !errors.Is(err, errGone) {
		_ = out.Write(ToParent{Fault: err.Error()})
	}
	return 1
}
