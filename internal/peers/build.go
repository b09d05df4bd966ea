// Package peers gives tests real servers to talk to: Prometheus and VictoriaMetrics, built from the versions that
// tools/peers/go.mod names and started on loopback. A build is kept in the user's cache folder, so that only the first run
// pays for it.
package peers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// program is one that tests can start.
type program struct {
	name string
	pkg  string
	tags string
}

var (
	// Service discovery pulls in the client libraries of every cloud; without it Prometheus builds in a fraction of the time,
	// and keeps static, file and HTTP discovery.
	prometheus = program{"prometheus", "github.com/prometheus/prometheus/cmd/prometheus", "remove_all_sd,netgo"}
	victoria   = program{"victoria-metrics", "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics", ""}
)

// build returns the program's path, and builds it first unless there is one of the same versions, flags and Go release.
func (p program) build() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "tools", "peers")
	dir, err := p.folder(module)
	if err != nil {
		return "", err
	}
	unlock, err := lock(dir) // several packages' tests may come at once
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(dir, p.name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	part := path + ".part"
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", p.tags, "-o", part, p.pkg)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off") // flags of the test run, such as -race, are not for peers
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("peers: building %s: %w\n%s", p.name, err, tail(string(out), 20))
	}
	return path, os.Rename(part, path)
}

// folder is where the program is kept: a name that changes with anything that changes the program.
func (p program) folder(module string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("peers: no folder to keep builds in: %w", err)
	}
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, p.pkg, p.tags)
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", fmt.Errorf("peers: %w", err)
		}
		h.Write(b)
	}
	dir := filepath.Join(cache, "foresail", "peers", p.name+"-"+hex.EncodeToString(h.Sum(nil))[:16])
	return dir, os.MkdirAll(dir, 0o755)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("peers: go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", fmt.Errorf("peers: not in a module: run tests from the checkout")
	}
	return filepath.Dir(mod), nil
}

// lock waits until nobody else builds into dir.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("peers: waiting for %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// tail is the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
