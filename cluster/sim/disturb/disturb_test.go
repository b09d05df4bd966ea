package disturb_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/disturb"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/fault"
)

// stage is a service b, called by a, with some replicas, of which a test sees what faults do to them.
type stage struct {
	disturb.Simulation // which panics where a test does not expect to be asked
	disturb.Troubles
	queue   des.Queue
	program *program.Program
	harms   map[int32]*disturb.Harm
	cores   map[int32]float64
	stopped map[int32]bool
	memory  int64
	version *program.Service
	told    []string
	log     []string // what was done to requests
}

func newStage(t *testing.T, replicas int32, faults ...fault.Fault) *stage {
	t.Helper()
	op := func(calls ...foresail.Call) []foresail.Operation {
		return []foresail.Operation{{Name: "op", Steps: []foresail.Step{{Calls: calls}}}}
	}
	app := &foresail.App{Services: []foresail.Service{{Name: "a"}, {Name: "b"}}, Endpoints: []foresail.Endpoint{{Name: "/"}}}
	for i := range app.Services {
		app.Services[i].Initial = foresail.Allocation{Replicas: 1, CPU: 1}
	}
	p, err := program.Compile(&foresail.Blueprint{App: app, Entries: []foresail.Target{{}}, Services: []foresail.ServiceBlueprint{
		{Operations: op(foresail.Call{Target: foresail.Target{Service: 1}, Probability: 1})}, {Operations: op()}}})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{program: p, version: &p.Services[1], harms: map[int32]*disturb.Harm{}, cores: map[int32]float64{}, stopped: map[int32]bool{}}
	for id := range replicas {
		s.cores[id] = 16
	}
	s.Troubles = disturb.New(disturb.Config{Faults: faults, Seed: 1, Simulation: s, NodeCores: 16, Queue: &s.queue, First: 7,
		Tell: func(e fault.Truth) { s.told = append(s.told, fmt.Sprint(e.Moment, " ", len(e.Replicas))) }}, app, p)
	return s
}

// until lets faults act before an instant.
func (s *stage) until(d time.Duration) {
	for e, ok := s.queue.Next(int64(d)); ok; e, ok = s.queue.Next(int64(d)) {
		s.Handle(e)
	}
}

// asks has a request come to a replica.
func (s *stage) asks(id, frame int32) bool {
	h := s.harms[id]
	return h != nil && s.Hinders(id, h, frame, &s.program.Calls[0])
}

func (s *stage) Version(int32) *program.Service { return s.version }

func (s *stage) RollOut(_ int32, version *program.Service) { s.version = version }

func (s *stage) Running(service int32) (out []int32) {
	for id := range int32(len(s.cores)) {
		out = append(out, id)
	}
	return out
}

func (s *stage) Replica(id int32) disturb.Replica {
	return disturb.Replica{Name: fmt.Sprint("b-", id), Service: 1, Host: -1, Cores: 2, Memory: s.memory, Most: 1000,
		Stopped: s.stopped[id], Harm: s.harms[id], Interference: s.program.Services[1].Interference}
}

func (s *stage) Harm(id int32) *disturb.Harm {
	if s.harms[id] == nil {
		h := disturb.NoHarm()
		s.harms[id] = &h
	}
	return s.harms[id]
}

func (s *stage) Healed(id int32) {
	if !s.harms[id].Any() {
		delete(s.harms, id)
	}
}

func (s *stage) Bound(id int32, cores int64, slow float64) {
	s.cores[id] = float64(cores) / float64(cfs.Core)
}

func (s *stage) Stop(id int32, stopped bool) {
	if s.stopped[id] != stopped {
		s.did("stopped", id, stopped)
	}
	s.stopped[id] = stopped
}

func (s *stage) Restart(id int32) bool {
	s.did("restarts", id)
	s.Heal(id)
	return true
}

func (s *stage) Enter(frame, id int32)            { s.did("enters", frame) }
func (s *stage) Proceed(frame int32, failed bool) { s.did("proceeds", frame, failed) }
func (s *stage) CallBack(frame, call int32)       { s.did("calls back", frame) }
func (s *stage) GiveUp(call int32)                { s.did("given up") }
func (s *stage) SetDown(node int32, down bool)    { s.did("down", node, down) }
func (s *stage) did(what string, on ...any) {
	s.log = append(s.log, fmt.Sprint(s.queue.Now()/1e6, " ms ", what, on))
}
func (s *stage) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(s.log, want) {
		t.Errorf("it was done\n%q, want\n%q", s.log, want)
	}
}

const second = time.Second

func onB(kind fault.Kind) fault.Fault {
	return fault.Fault{Kind: kind, At: second, For: second, Target: fault.Target{Service: "b"}}
}

// Before the first fault and after the last nothing is asked of the simulation, and there is nothing to ask of the faults.
func TestWhileNothingGoesOnNothingIsAsked(t *testing.T) {
	f := onB(fault.PacketLoss)
	f.Amount = 0.5
	s := newStage(t, 2, f)
	s.Troubles = disturb.New(disturb.Config{Faults: []fault.Fault{f}, Queue: &s.queue}, nil, s.program) // no simulation
	s.queue.Next(int64(second) - 1)
	if s.Any() || s.OnMessages() {
		t.Error("a fault goes on before it has begun")
	}
	s = newStage(t, 2, f)
	s.until(1500 * time.Millisecond)
	if !s.Any() || !s.OnMessages() || len(s.harms) != 2 {
		t.Errorf("the fault does not go on: %v", s.harms)
	}
	s.until(3 * second)
	if s.Any() || s.OnMessages() || len(s.harms) != 0 {
		t.Errorf("the fault still goes on: %v", s.harms)
	}
	if want := []string{"begins 2", "ends 2"}; !slices.Equal(s.told, want) {
		t.Errorf("told %q, want %q", s.told, want)
	}
}

// A lock goes from one to the next, in their order; who waits when the fault ends goes on.
func TestALockGoesFromOneToTheNext(t *testing.T) {
	f := onB(fault.Lock)
	f.Length = 400 * time.Millisecond
	s := newStage(t, 1, f)
	s.until(1001 * time.Millisecond)
	for frame := range int32(4) {
		if !s.asks(0, frame) {
			t.Errorf("%d need not wait", frame)
		}
	}
	s.until(3 * second)
	s.expect(t, "1401 ms enters[0]", "1801 ms enters[1]", "2000 ms proceeds[2 false]", "2000 ms proceeds[3 false]")
	if s.asks(0, 5) {
		t.Error("one waits when the fault is over")
	}
}

// A deadlock keeps as many as it says; they fail when it ends. A replica that goes ends it for those in it.
func TestADeadlockKeepsTheFirst(t *testing.T) {
	f := onB(fault.Deadlock)
	f.Amount = 2
	s := newStage(t, 2, f)
	s.until(1001 * time.Millisecond)
	for frame := range int32(3) {
		if got := s.asks(0, frame); got != (frame < 2) {
			t.Errorf("%d waits: %v", frame, got)
		}
		s.asks(1, 10+frame)
	}
	s.Heal(1)
	s.until(3 * second)
	s.expect(t, "1001 ms proceeds[10 true]", "1001 ms proceeds[11 true]", "2000 ms proceeds[0 true]", "2000 ms proceeds[1 true]")
}

// A blocking cycle has each request of its edge call back, by a call that goes the other way, and gives those up that wait.
func TestABlockingCycleCallsBack(t *testing.T) {
	f := onB(fault.BlockingCycle)
	f.Target = fault.Target{From: "a", To: "b"}
	s := newStage(t, 1, f)
	before := len(s.program.Calls)
	s.until(1001 * time.Millisecond)
	if !s.asks(0, 3) {
		t.Error("a request does not wait for its call back")
	}
	s.until(3 * second)
	s.expect(t, "1001 ms calls back[3]", "2000 ms given up[]")
	if back := s.program.Calls[before]; back.Service != 0 || s.program.EdgeBetween(1, 0) != back.Edge {
		t.Errorf("the call back is %+v", back)
	}
}

// Pauses stop a replica's threads for as long as they say, as often as they say, and end with the fault.
func TestPausesComeAndGo(t *testing.T) {
	f := onB(fault.GCPause)
	f.For, f.Length, f.Period = 10*second, 300*time.Millisecond, second
	s := newStage(t, 1, f)
	s.until(20 * second)
	if len(s.log) != 20 || s.stopped[0] {
		t.Errorf("ten pauses are %q", s.log)
	}
}

// A bad version leaks until the memory that is left is used up; then the replica is restarted, and what comes in its place
// leaks anew. The version before comes back with the end.
func TestALeakRestarts(t *testing.T) {
	f := onB(fault.BadRelease)
	f.For, f.Amount, f.Errors, f.Leak = 20*second, 2, 0.25, 100
	s := newStage(t, 1, f)
	s.memory = 400
	good := s.version
	s.until(1500 * time.Millisecond)
	if s.version.Good != good || len(s.harms) != 0 {
		t.Errorf("the version is %+v before its replicas come, which harms %v", s.version, s.harms)
	}
	s.Join(0)
	s.until(4500 * time.Millisecond)
	h := s.harms[0]
	if leaked := h.Leaked(s.queue.Now()); leaked != 300 || h.Needs(10) != 20 {
		t.Errorf("after 3 s %d bytes are lost, and 10 ns of work take %d", leaked, h.Needs(10))
	}
	failed, rnd := 0, chance.Purpose(1, chance.ForDemands)
	for range 10000 {
		if h.Fails(rnd.Split()) {
			failed++
		}
	}
	if failed < 2300 || failed > 2700 {
		t.Errorf("%d of 10000 requests fail, want a quarter", failed)
	}
	s.until(10 * second)
	s.expect(t, "7500 ms restarts[0]") // 600 bytes at 100 a second
	s.until(30 * second)
	if s.version != good || len(s.harms) != 0 {
		t.Error("the version before has not come back")
	}
}

// Where a fault asks for a share of the replicas so many are hit, rounded up, and of those that come as many as it takes.
func TestAShareIsHit(t *testing.T) {
	f := fault.Fault{Kind: fault.SlowDisk, At: second, Amount: 3, Target: fault.Target{Service: "b", Share: 0.5}}
	s := newStage(t, 7, f)
	s.until(2 * second)
	for id := int32(7); id < 12; id++ {
		s.cores[id] = 16
		s.Join(id)
	}
	if want := []string{"begins 4", "spreads 1", "spreads 1"}; !slices.Equal(s.told, want) || len(s.harms) != 6 {
		t.Errorf("%d of 12 replicas are hit: told %q, want %q", len(s.harms), s.told, want)
	}
	for _, h := range s.harms {
		if h.Disk != 3 || h.CPU != 1 || h.Needs(7) != 7 {
			t.Errorf("%+v", h)
		}
	}
}

// CPU contention leaves a replica so much of its limit, where its machine is its own.
func TestContentionBoundsCores(t *testing.T) {
	f := onB(fault.CPUContention)
	f.Amount = 0.75
	s := newStage(t, 1, f)
	s.until(1500 * time.Millisecond)
	if got := s.cores[0]; math.Abs(got-0.5) > 1e-3 {
		t.Errorf("%v cores of a limit of 2 are left, want a quarter", got)
	}
	s.until(3 * second)
	if s.cores[0] != 16 {
		t.Errorf("%v cores after the fault", s.cores[0])
	}
}

// Of messages lost with probability p, p / (1 - p) are sent again on average, after 200 ms, 400 ms and so on.
func TestLostMessagesAreSentAgain(t *testing.T) {
	f := onB(fault.PacketLoss)
	f.Amount = 0.2
	s := newStage(t, 1, f)
	s.until(1500 * time.Millisecond)
	rnd, n, again := chance.Purpose(1, chance.ForFaults), 20000, 0
	for range n {
		delay, resent := s.Astray(-1, s.harms[0], nil, 100, rnd.Split())
		if want := int64(200e6) * (1<<resent - 1); delay != want {
			t.Fatalf("sent %d times again, %v late, want %v", resent, time.Duration(delay), time.Duration(want))
		}
		again += resent
	}
	if got, want := float64(again)/float64(n), 0.25; math.Abs(got-want) > 0.02 {
		t.Errorf("%v are sent again for each message, want %v", got, want)
	}
	if delay, resent := s.Astray(-1, nil, nil, 100, rnd); delay != 0 || resent != 0 {
		t.Error("a message between replicas that are not hit is late")
	}
}
