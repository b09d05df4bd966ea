// Package kubetest starts a Kubernetes API server for a test: a real one with its etcd and nothing else, so no controller
// makes pods and no node runs them.
package kubetest

import (
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"foresail.dev/internal/peers"
)

var quiet sync.Once

// Server starts one with Foresail's custom resources, until the test ends.
func Server(t testing.TB) *rest.Config {
	t.Helper()
	quiet.Do(func() { log.SetLogger(logr.Discard()) })
	_, here, _, _ := runtime.Caller(0)
	env := &envtest.Environment{
		BinaryAssetsDirectory: peers.KubeAssets(t),
		CRDDirectoryPaths:     []string{filepath.Join(filepath.Dir(here), "..", "..", "deploy", "crd")},
		ErrorIfCRDPathMissing: true,
	}
	t.Cleanup(func() { // also of what a failed start has left
		if err := env.Stop(); err != nil {
			t.Log(err)
		}
	})
	cfg, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS, cfg.Burst = 1000, 1000
	return cfg
}

// Kubeconfig writes how to reach a server into a file, for programs.
func Kubeconfig(t testing.TB, cfg *rest.Config, namespace string) string {
	t.Helper()
	kube := clientcmdapi.NewConfig()
	kube.Clusters["c"] = &clientcmdapi.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	kube.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificateData: cfg.CertData, ClientKeyData: cfg.KeyData}
	kube.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u", Namespace: namespace}
	kube.CurrentContext = "x"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*kube, file); err != nil {
		t.Fatal(err)
	}
	return file
}
