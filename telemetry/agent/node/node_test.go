package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/wire"
)

// files writes a tree.
func files(t *testing.T, root string, tree map[string]string) {
	t.Helper()
	for name, text := range tree {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A machine made of files, looked at twice: what differs is what was counted.
func TestNode(t *testing.T) {
	root := t.TempDir()
	files(t, root, map[string]string{
		"proc/stat":         "cpu  100 0 50 9000 10 0 5 0 0 0\ncpu0 1 2 3\nintr 1 2 3\n",
		"proc/loadavg":      "0.20 0.18 0.12 4/129 11206\n",
		"proc/meminfo":      "MemTotal:       1000 kB\nMemFree: 10 kB\nMemAvailable:    400 kB\n",
		"proc/diskstats":    "   7       0 loop0 9 9 9 9 9 9 9 9 9 9 9\n   8       0 sda 5 0 100 7 6 0 200 9 0 30 40\n   8       1 sda1 5 0 100 7 6 0 200 9 0 30 40\n",
		"proc/1/net/dev":    "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n  eth0:1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n veth1: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n",
		"proc/1/net/snmp":   "Ip: A B\nIp: 1 2\nTcp: RtoAlgorithm MaxConn RetransSegs InErrs\nTcp: 1 -1 70 0\n",
		"proc/pressure/cpu": "some avg10=1.00 avg60=1.00 avg300=1.00 total=1000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"sys/block/sda/dev": "8:0\n", "sys/block/loop0/dev": "7:0\n", "sys/block/dm-0/dev": "253:0\n", "sys/block/dm-0/slaves/sda/x": "",
		"sys/class/net/eth0/device/x": "", "sys/class/net/veth1/x": "",
	})
	r := Open(filepath.Join(root, "proc"), filepath.Join(root, "sys"), &cgroup.Mounts{})
	defer r.Close()
	if len(r.Notes) != 2 || r.MemoryTotal != 1000<<10 { // pressure of memory and I/O
		t.Errorf("%q, %d bytes", r.Notes, r.MemoryTotal)
	}
	buf := make([]byte, cgroup.BufferSize)
	var s wire.Sample
	r.Beat(&s, buf)
	r.Second(&s, buf)
	if s.Has != foresail.SignalRunnable|foresail.SignalMemory || s.Value[wire.Runnable] != 3000 || s.Value[wire.Memory] != 600<<10 {
		t.Errorf("at the first look: has %v, %v", s.Has, s.Value)
	}
	files(t, root, map[string]string{
		"proc/stat":         "cpu  103 1 50 9009 19 1 5 0 0 0\n",
		"proc/diskstats":    "   8       0 sda 5 0 108 7 6 0 201 9 0 35 50\n",
		"proc/1/net/dev":    "  eth0:1500 1 0 0 0 0 0 0 2700 1 0 0 0 0 0 0\n",
		"proc/1/net/snmp":   "Tcp: RtoAlgorithm MaxConn RetransSegs InErrs\nTcp: 1 -1 73 0\n",
		"proc/pressure/cpu": "some avg10=1.00 avg60=1.00 avg300=1.00 total=1250\n",
	})
	s = wire.Sample{}
	r.Beat(&s, buf)
	r.Second(&s, buf)
	want := map[wire.Field]int64{
		wire.CPU: 5 * int64(10*time.Millisecond), wire.Runnable: 3000, wire.Memory: 600 << 10, wire.NetIn: 500, wire.NetOut: 700,
		wire.Retransmits: 3, wire.DiskRead: 8 * 512, wire.DiskWritten: 512, wire.DiskBusy: 5e6, wire.IOWait: 10e6, wire.CPUPressure: 250e3,
	}
	for f, v := range s.Value {
		if v != want[wire.Field(f)] {
			t.Errorf("field %d: %d, not %d", f, v, want[wire.Field(f)])
		}
	}
	if !s.Has.Has(foresail.SignalCPU | foresail.SignalNetwork | foresail.SignalDisk | foresail.SignalPressure | foresail.SignalRetransmits) {
		t.Errorf("has %v", s.Has)
	}
	if n := testing.AllocsPerRun(20, func() { r.Beat(&s, buf); r.Second(&s, buf) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCounter(t *testing.T) {
	var c Counter
	for i, v := range []struct {
		v, d int64
		ok   bool
	}{{5, 0, false}, {7, 2, true}, {7, 0, true}, {3, 0, false}, {4, 1, true}, {-1, 0, false}, {9, 0, false}, {10, 1, true}} {
		if d, ok := c.Next(v.v); d != v.d || ok != v.ok {
			t.Errorf("%d: %d, %v", i, d, ok)
		}
	}
}

// This machine's own files can be read.
func TestThisMachine(t *testing.T) {
	m, err := cgroup.ReadMounts("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	r := Open("/proc", "/sys", &m)
	defer r.Close()
	t.Logf("notes: %q, disks %v, interfaces %v", r.Notes, r.Disks, r.nics)
	buf := make([]byte, cgroup.BufferSize)
	var s wire.Sample
	r.Beat(&s, buf)
	for deadline := time.Now().Add(time.Second); s.Value[wire.CPU] == 0 && time.Now().Before(deadline); { // this loop uses some
		r.Beat(&s, buf)
	}
	r.Second(&s, buf)
	if s.Value[wire.CPU] <= 0 || s.Value[wire.Memory] <= 0 || s.Value[wire.Memory] >= r.MemoryTotal {
		t.Errorf("%+v of %d", s.Value, r.MemoryTotal)
	}
}

func FuzzTexts(f *testing.F) {
	f.Add([]byte("Tcp: RetransSegs\nTcp: 70\n"), []byte("eth0: 1 2 3"))
	f.Add([]byte("cpu 1 2 3 4"), []byte("1 2 3 4/5"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, text := range [][]byte{a, b} {
			Bytes(text, nil)
			Meminfo(text)
			diskstats(text, cgroup.Disks{"8:0": true})
			ticks(text)
			running(text)
			cgroup.Stalled(text)
			if Retransmits(text) < -1 {
				t.Fatal("less than nothing")
			}
		}
	})
}
