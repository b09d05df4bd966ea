package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

func TestWithoutPermissionForCgroupsOneLineSaysSo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become a user without permission")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "foresail-test") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "foresail")
	copyFile(t, exe, copied)
	load := filepath.Join(dir, "load.yaml")
	if err := os.WriteFile(load, []byte("load: steady\ncurve:\n  - constant: 5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(copied, "testbed", "-f", "hotel-reservation", "--load", load, "--listen", "127.0.0.1:0")
	c.Args[0], c.Dir = "foresail", dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := c.CombinedOutput()
	if exitOf(err) != "2" {
		t.Errorf("%v, want exit status 2", err)
	}
	if !regexp.MustCompile(`(?s)^foresail: [^\n]*/sys/fs/cgroup[^\n]*\n$`).Match(out) {
		t.Errorf("want one line that names the path, got:\n%s", out)
	}
}

// A machine whose cgroups are not mounted, or not all that an application needs, is told in one line before anything is
// started.
func TestWithoutCgroupsOneLineSaysWhatIsMissing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to unmount cgroups for one process")
	}
	for _, c := range []struct{ name, mount, want string }{
		{"none", "/sys/fs/cgroup", "no cgroup file system is mounted"},
		{"no memory", "/sys/fs/cgroup/memory", "the memory controller of cgroup v1 is not mounted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if b, _ := os.ReadFile("/proc/self/mounts"); !bytes.Contains(b, []byte(" "+c.mount+" ")) {
				t.Skipf("%s is no mount point of this machine", c.mount)
			}
			under := program(t, "testbed", "-f", "hotel-reservation", "--load", "examples/loads/gentle.yaml", "--listen", "127.0.0.1:0")
			// Those of children first; Go makes the new namespace's mounts private.
			sh := exec.Command("bash", append([]string{"-c", `for m in $(grep -o " $0[^ ]*" /proc/self/mounts | sort -r); do umount -l "$m"; done; exec -a foresail "$@"`,
				c.mount, under.Path}, under.Args[1:]...)...)
			sh.Dir = under.Dir
			sh.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
			out, err := sh.CombinedOutput()
			if exitOf(err) != "2" || !strings.Contains(string(out), c.want) || strings.Count(string(out), "\n") != 1 {
				t.Errorf("%v, want exit status 2 and one line\n%s", err, out)
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}
