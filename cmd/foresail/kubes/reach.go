package kubes

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Reach is how a cluster is reached, as kubectl's flags say it.
type Reach struct {
	Namespace  string
	Kubeconfig string
	Context    string
}

// Register adds the flags; their help begins with a prefix.
func (f *Reach) Register(fl *pflag.FlagSet, prefix string) {
	fl.StringVar(&f.Namespace, "namespace", "", prefix+"the namespace to look at; empty: the kubeconfig's, and for an operator all")
	fl.StringVar(&f.Kubeconfig, "kubeconfig", "", prefix+"how to reach the cluster; empty: as kubectl does, or from within a pod")
	fl.StringVar(&f.Context, "context", "", prefix+"the kubeconfig's context; empty: its current one")
}

// RegisterShort adds them as kubectl has them, with -n.
func (f *Reach) RegisterShort(fl *pflag.FlagSet) {
	fl.StringVarP(&f.Namespace, "namespace", "n", "", "the namespace to look at; empty: the kubeconfig's")
	fl.StringVar(&f.Kubeconfig, "kubeconfig", "", "how to reach the cluster; empty: as kubectl does")
	fl.StringVar(&f.Context, "context", "", "the kubeconfig's context; empty: its current one")
}

// Config is how to reach the cluster, and the namespace.
func (f *Reach) Config() (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	loading := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.Context})
	cfg, err := loading.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, "", errors.New("kubernetes: no cluster is configured: give --kubeconfig, or set KUBECONFIG to a file that is there")
	}
	if err != nil {
		return nil, "", fmt.Errorf("kubernetes: %w: give --kubeconfig, or set KUBECONFIG", err)
	}
	cfg.QPS, cfg.Burst = 50, 100
	cfg.UserAgent = "foresail"
	if f.Namespace != "" {
		return cfg, f.Namespace, nil
	}
	namespace, _, err := loading.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("kubernetes: %w", err)
	}
	return cfg, namespace, nil
}
