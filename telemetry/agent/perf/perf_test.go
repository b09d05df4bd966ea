package perf

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"
)

// Software events are counted on every machine: sleeping is a switch.
func TestSwitchesAreCounted(t *testing.T) {
	runtime.LockOSThread() // it is the thread's switches that are counted
	defer runtime.UnlockOSThread()
	c, err := OpenProcess(0, ContextSwitches)
	if errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Next()
	total := int64(0)
	for deadline := time.Now().Add(5 * time.Second); total == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		n, ok := c.Next()
		if ok {
			total += n
		}
	}
	if total == 0 {
		t.Error("no switch counted in five seconds of sleeping")
	}
	if n := testing.AllocsPerRun(20, func() { c.Next() }); n > 0 {
		t.Errorf("%v allocations a reading", n)
	}
}

// Where there is no hardware counter, that is what is said; where there is one, it counts.
func TestCacheMisses(t *testing.T) {
	c, err := OpenProcess(0, CacheMisses)
	if err != nil {
		if !errors.Is(err, ErrUnavailable) {
			t.Fatalf("not told as unavailable: %v", err)
		}
		t.Logf("unavailable, and said so: %v", err)
		return
	}
	defer c.Close()
	big := make([]byte, 64<<20)
	for i := 0; i < len(big); i += 64 {
		big[i]++
	}
	if n, ok := c.Next(); ok && n == 0 {
		t.Error("64 MiB touched without a miss")
	}
}

func TestAForeignEventIsUnavailable(t *testing.T) {
	if err := Check(Event{Type: 1, Config: 1 << 40}); err == nil {
		t.Error("an event that no kernel has can be counted")
	}
	(*Counter)(nil).Close()
}

func TestOnline(t *testing.T) {
	for list, want := range map[string][]int{"0\n": {0}, "0-1": {0, 1}, "0-2,5": {0, 1, 2, 5}} {
		if got, err := Online(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for _, list := range []string{"", "x", "3-1", "-4", "0-99999999"} {
		if got, err := Online(list); err == nil {
			t.Errorf("%q: %v", list, got)
		}
	}
}
