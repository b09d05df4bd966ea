package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// Progress draws one line on a terminal while a job takes more than two seconds; elsewhere it draws nothing.
type Progress struct {
	W       io.Writer // nil: draws nothing
	Began   time.Time
	drawn   time.Time
	painted bool
}

// NewProgress draws on w where that is a terminal.
func NewProgress(w io.Writer) *Progress {
	p := &Progress{Began: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.W = w
	}
	return p
}

// At shows how much is done, 0..1 or negative when there is no end, and what is being done.
func (p *Progress) At(done float64, what string) {
	now := time.Now()
	if p.W == nil || now.Sub(p.Began) < 2*time.Second || now.Sub(p.drawn) < 200*time.Millisecond {
		return
	}
	p.drawn, p.painted = now, true
	if done <= 0 {
		fmt.Fprintf(p.W, "\r\x1b[K%s", what)
		return
	}
	left := time.Duration(float64(now.Sub(p.Began)) * (1 - done) / done)
	fmt.Fprintf(p.W, "\r\x1b[K%3.0f %%  %s  %s left", done*100, what, left.Round(time.Second))
}

// End takes the line away.
func (p *Progress) End() {
	if p.painted {
		fmt.Fprint(p.W, "\r\x1b[K")
	}
}
