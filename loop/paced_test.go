package loop_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
)

func TestPacedIntervalsTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := loop.Paced((&script{app: testApp()}).beats(0, beat, 100, usual), 10)
		start := time.Now()
		for range 100 {
			if _, err := p.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("100 beats at ten times the speed took %v, want 1s", got)
		}
	})
}

func TestPacedMakesUpSmallDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := loop.Paced((&script{app: testApp()}).beats(0, beat, 20, usual), 1)
		start := time.Now()
		for i := range 20 {
			if _, err := p.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			if i == 3 {
				time.Sleep(250 * time.Millisecond) // a slow decision
			}
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("20 beats took %v, want 2s", got)
		}
	})
}

func TestPacedGoesOnWithoutABurstAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := loop.Paced((&script{app: testApp()}).beats(0, beat, 40, usual), 1)
		next := func() {
			if _, err := p.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			next()
		}
		time.Sleep(time.Hour)
		next() // overdue, so at once
		start := time.Now()
		for i := range 20 {
			next()
			if got, want := time.Since(start), time.Duration(i+1)*beat; got != want {
				t.Fatalf("beat %d came %v after the pause, want %v", i, got, want)
			}
		}
	})
}

func TestPacedLosesNoIntervalWhenCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := loop.Paced((&script{app: testApp()}).beats(0, beat, 2, usual), 1)
		ctx, cancel := context.WithTimeout(t.Context(), beat/2)
		defer cancel()
		if _, err := p.Next(ctx); err != context.DeadlineExceeded {
			t.Fatalf("got %v", err)
		}
		s, err := p.Next(t.Context())
		if err != nil || !s.Start.Equal(epoch) {
			t.Errorf("got %v, %v; want the first interval", s, err)
		}
	})
}

func TestALoopOverAPacedClusterEndsAtOnceWhenCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := loop.Paced((&script{app: testApp()}).beats(0, time.Hour, 10, usual), 1)
		done := make(chan error)
		go func() { done <- loop.Run(ctx, p, each(time.Second), loop.Options{Mode: loop.Auto}) }()
		synctest.Wait()
		start := time.Now()
		cancel()
		if err := <-done; err != nil || time.Since(start) != 0 {
			t.Errorf("ended after %v with %v", time.Since(start), err)
		}
	})
}

func TestPacedActsWhileTheClusterStandsStill(t *testing.T) {
	c := &script{app: testApp()}
	p := loop.Paced(c, 1)
	other := testApp()
	p.Do(func() { c.app = other })
	if p.App() != other {
		t.Error("the change was lost")
	}
	if err := p.Apply(t.Context(), &foresail.Plan{}); err != nil || len(c.applied) != 1 {
		t.Errorf("applied %d, %v", len(c.applied), err)
	}
}
