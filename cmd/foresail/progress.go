package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress draws one line on a terminal while a job takes more than two seconds; elsewhere it draws nothing.
type progress struct {
	w       io.Writer // nil: draws nothing
	began   time.Time
	drawn   time.Time
	painted bool
}

func newProgress(w io.Writer) *progress {
	p := &progress{began: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = w
	}
	return p
}

// at shows how much is done, 0..1 or negative when there is no end, and what is being done.
func (p *progress) at(done float64, what string) {
	now := time.Now()
	if p.w == nil || now.Sub(p.began) < 2*time.Second || now.Sub(p.drawn) < 200*time.Millisecond {
		return
	}
	p.drawn, p.painted = now, true
	if done <= 0 {
		fmt.Fprintf(p.w, "\r\x1b[K%s", what)
		return
	}
	left := time.Duration(float64(now.Sub(p.began)) * (1 - done) / done)
	fmt.Fprintf(p.w, "\r\x1b[K%3.0f %%  %s  %s left", done*100, what, left.Round(time.Second))
}

// end takes the line away.
func (p *progress) end() {
	if p.painted {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
