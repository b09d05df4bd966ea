package wire

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// What one process counts another reads, and still does when the first has ended.
func TestTrafficIsShared(t *testing.T) {
	parent, file, err := NewTraffic()
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	inherited, err := unix.Dup(int(file.Fd())) // as a child has it
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	child, err := OpenTraffic(inherited)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 1000 {
				child.Received(3)
				child.Sent(5)
			}
		})
	}
	wait.Wait()
	child.Close()
	if got := parent.Bytes().Sub(Bytes{In: 1000}); got != (Bytes{In: 11_000, Out: 20_000}) {
		t.Errorf("the parent reads %+v", got)
	}
}

// Who has no page counts nothing, and a descriptor of nothing is an error.
func TestTrafficAbsent(t *testing.T) {
	var none *Traffic
	none.Received(1)
	none.Sent(1)
	none.Close()
	if got := none.Bytes(); got != (Bytes{}) {
		t.Errorf("nothing counted %+v", got)
	}
	for _, fd := range []int{-1, 1 << 20} {
		if _, err := OpenTraffic(fd); err == nil {
			t.Errorf("descriptor %d is taken for memory", fd)
		}
	}
}
