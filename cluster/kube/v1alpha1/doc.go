// Package v1alpha1 is what Foresail adds to a Kubernetes cluster: the custom resource Application. Its schema, with all rules
// that a value must keep, is generated from the types here (go generate) and lies in deploy/crd.
//
// +kubebuilder:object:generate=true
// +groupName=foresail.dev
package v1alpha1

//go:generate go tool -C ../../.. -modfile=tools/go.mod controller-gen object crd paths=./cluster/kube/v1alpha1 output:object:dir=cluster/kube/v1alpha1 output:crd:dir=deploy/crd

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of what this package defines.
var GroupVersion = schema.GroupVersion{Group: "foresail.dev", Version: "v1alpha1"}

// AddToScheme makes a scheme know the types of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &Application{}, &ApplicationList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
