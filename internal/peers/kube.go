package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// KubeAssets is where kube-apiserver, etcd and kubectl are: the folder that KUBEBUILDER_ASSETS names, or what
// ../shared/kube/unpack.sh unpacks beside the project. A test is skipped where there are none, unless Required says that
// they must be there.
func KubeAssets(t testing.TB) string {
	t.Helper()
	dir, err := kubeAssets()
	switch {
	case err != nil && os.Getenv(Required) != "":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	return dir
}

func kubeAssets() (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		script := filepath.Join(filepath.Dir(root), "shared", "kube", "unpack.sh")
		if _, err := os.Stat(script); err != nil {
			return "", fmt.Errorf("peers: no Kubernetes to test against: KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd, and there is no %s", script)
		}
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("peers: no folder to unpack Kubernetes to: %w", err)
		}
		keep := filepath.Join(cache, "foresail", "peers")
		if err := os.MkdirAll(keep, 0o755); err != nil {
			return "", fmt.Errorf("peers: %w", err)
		}
		unlock, err := lock(keep) // several packages' tests may come at once
		if err != nil {
			return "", err
		}
		defer unlock()
		out, err := exec.Command(script).Output()
		if err != nil {
			return "", fmt.Errorf("peers: %s: %w", script, err)
		}
		dir = strings.TrimSpace(string(out))
	}
	for _, name := range []string{"kube-apiserver", "etcd"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("peers: no Kubernetes to test against: %w", err)
		}
	}
	return dir, nil
}
