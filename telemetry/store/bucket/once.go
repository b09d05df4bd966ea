package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"
)

// Turns are how processes take turns in making one thing. Zero fields mean what is said.
type Turns struct {
	Beat   time.Duration // between two signs of life of who makes it; 0 means 5 s
	Expire time.Duration // without one, until another takes over; 0 means 45 s
	Poll   time.Duration // between two looks of who waits; 0 means 1 s
	Wait   func()        // called once when another is waited for; nil: nobody is told
}

func (t Turns) defaults() Turns {
	for _, d := range []struct {
		v  *time.Duration
		to time.Duration
	}{{&t.Beat, 5 * time.Second}, {&t.Expire, 45 * time.Second}, {&t.Poll, time.Second}} {
		if *d.v <= 0 {
			*d.v = d.to
		}
	}
	return t
}

// Once is the model file of a name: the one that is there or, where there is none, what build makes and Once puts there.
// However many processes call it at the same time, one builds, and the others wait for it; built tells who did. Where the
// builder dies or fails, another takes its turn. A file that is there and broken is built again.
//
// Turns are objects claims/…/1, 2, and so on, each made only where there is none. The newest counts, as long as its content changes
// within Expire by the clock of who looks.
func (b *Bucket) Once(ctx context.Context, n Name, t Turns, build func(context.Context) ([]byte, error)) (file []byte, built bool, err error) {
	if err := n.check(); err != nil {
		return nil, false, err
	}
	t = t.defaults()
	claim := claims + n.folder() + n.Version + "/"
	var seen string
	var since time.Time
	for {
		if file, err = b.whole(ctx, n); file != nil || err != nil {
			return file, false, err
		}
		turn, sign, err := b.newest(ctx, claim)
		if err != nil {
			return nil, false, err
		}
		now := time.Now()
		if sign != seen {
			seen, since = sign, now
		}
		if turn == 0 || now.Sub(since) >= t.Expire {
			file, built, err = b.take(ctx, n, claim+strconv.Itoa(turn+1), t, build)
			if !errors.Is(err, errTaken) {
				return file, built, err
			}
			continue
		}
		if t.Wait != nil {
			t.Wait()
			t.Wait = nil
		}
		select {
		case <-ctx.Done():
			return nil, false, fmt.Errorf("waiting for another to make %s: %w", n, ctx.Err())
		case <-time.After(t.Poll):
		}
	}
}

// whole is the file of a name; nil where there is none, or a broken one.
func (b *Bucket) whole(ctx context.Context, n Name) ([]byte, error) {
	_, _, file, err := b.Get(ctx, n)
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		return file, nil
	case Broken(err):
		return nil, nil
	}
	return nil, err
}

// newest is the highest turn that was taken, and its sign of life; 0 where there is none.
func (b *Bucket) newest(ctx context.Context, claim string) (turn int, sign string, err error) {
	it := b.b.List(&blob.ListOptions{Prefix: claim})
	for {
		o, err := it.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, "", b.explain("list", claim, err)
		}
		if i, err := strconv.Atoi(strings.TrimPrefix(o.Key, claim)); err == nil && i > turn {
			turn = i
		}
	}
	if turn == 0 {
		return 0, "", nil
	}
	data, err := b.read(ctx, claim+strconv.Itoa(turn))
	if errors.Is(err, ErrNotFound) { // given up since
		return 0, "", nil
	}
	return turn, fmt.Sprint(turn, " ", string(data)), err
}

var errTaken = errors.New("someone else's turn")

// take takes a turn and builds.
func (b *Bucket) take(ctx context.Context, n Name, turn string, t Turns, build func(context.Context) ([]byte, error)) (file []byte, built bool, err error) {
	me := rand.Text()
	if err := b.write(ctx, turn, []byte(me), true); err != nil {
		if errors.Is(err, ErrExists) {
			err = errTaken
		}
		return nil, false, err
	}
	// Given up whatever happens, so that nobody waits for nothing; with a context of its own, as ctx may have ended.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = b.delete(ctx, turn)
	}()
	// It may have come while the turn was taken.
	if file, err = b.whole(ctx, n); file != nil || err != nil {
		return file, false, err
	}
	alive, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 1; ; i++ {
			select {
			case <-alive.Done():
				return
			case <-time.After(t.Beat):
				_ = b.write(alive, turn, fmt.Appendf(nil, "%s %d", me, i), false) // a missed one is made up by the next
			}
		}
	}()
	file, err = build(ctx)
	stop()
	<-stopped
	if err != nil {
		return nil, false, err
	}
	return file, true, b.Put(ctx, n, file)
}
