package operator_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/internal/kubetest"
)

// apply creates what a manifest of deploy/kubernetes has, as an administrator.
func (s *site) apply(name string) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "kubernetes", name))
	s.must(err)
	c, err := client.New(s.cfg, client.Options{})
	s.must(err)
	d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(b), 4096)
	n := 0
	for {
		var u unstructured.Unstructured
		if err := d.Decode(&u); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			s.t.Fatalf("%s: %v", name, err)
		}
		if len(u.Object) == 0 {
			continue
		}
		s.must(client.NewNamespacedClient(c, u.GetNamespace()).Create(s.t.Context(), &u, client.FieldValidation("Strict")))
		n++
	}
	if n == 0 {
		s.t.Fatalf("%s is empty", name)
	}
}

// The manifests are taken by a real API server. With what they allow, the operator can observe and recommend with the one, manage
// with both, and where a right is missing it says which.
func TestManifestsAllowWhatIsNeeded(t *testing.T) {
	cfg := kubetest.Server(t)
	s := newSite(t, cfg, "shop", "cart", "user")
	s.apply("observe.yaml")
	account := rest.CopyConfig(cfg)
	account.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:foresail:foresail", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:foresail", "system:authenticated"}}
	s.create("recommend", v1alpha1.Recommend, "user")
	s.create("auto", v1alpha1.Auto, "cart")
	s.lease = "foresail"
	s.operate(account, "a", want(4))
	s.until(20*time.Second, "a recommendation, and what is missing", func() bool {
		return s.condition("recommend", v1alpha1.Ready) == "True Recommending" && s.condition("auto", v1alpha1.Ready) == "False WriteRefused"
	})
	if n := s.replicas("cart"); n != 1 {
		t.Errorf("%d replicas without the right to change them", n)
	}
	s.apply("manage.yaml")
	s.until(20*time.Second, "it manages", func() bool { return s.replicas("cart") == 4 && s.condition("auto", v1alpha1.Ready) == "True Managed" })

	// A right that is withdrawn is told, and managing goes on when it is back.
	roles := s.kube.RbacV1().ClusterRoleBindings()
	binding, err := roles.Get(t.Context(), "foresail-manage", metav1.GetOptions{})
	s.must(err)
	s.must(roles.Delete(t.Context(), "foresail-manage", metav1.DeleteOptions{}))
	s.must(s.scale("cart", 2))
	s.until(20*time.Second, "the missing right is told", func() bool { return s.condition("auto", v1alpha1.Ready) == "False WriteRefused" })
	binding.ResourceVersion, binding.UID = "", ""
	_, err = roles.Create(t.Context(), binding, metav1.CreateOptions{})
	s.must(err)
	s.until(20*time.Second, "it manages again", func() bool { return s.replicas("cart") == 4 && s.condition("auto", v1alpha1.Ready) == "True Managed" })
}
