package identity

import (
	"strings"
	"testing"

	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"
)

const (
	id  = "4f2a90c1d3b7e6f84f2a90c1d3b7e6f84f2a90c1d3b7e6f84f2a90c1d3b7e6f8"
	uid = "1c9b3d52-7a10-4c59-9c1e-0d6f1b2a3c4d"
)

// What kubelets and runtimes call their groups, with both drivers.
func TestKubernetesPaths(t *testing.T) {
	low := strings.ReplaceAll(uid, "-", "_")
	for _, c := range []struct{ path, pod, container, runtime string }{
		{"/kubepods/burstable/pod" + uid + "/" + id, uid, id, ""},
		{"/kubepods/pod" + uid + "/" + id, uid, id, ""},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + low + ".slice/cri-containerd-" + id + ".scope", uid, id, "containerd"},
		{"/kubepods.slice/kubepods-pod" + low + ".slice/crio-" + id + ".scope", uid, id, "cri-o"},
		{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + low + ".slice/docker-" + id + ".scope", uid, id, "docker"},
		{"/kind/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + low + ".slice/cri-containerd-" + id + ".scope", uid, id, "containerd"},
		{"/docker/" + id, "", id, "docker"},
		{"/system.slice/docker-" + id + ".scope", "", id, "docker"},
		{"/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" + id, "0123456789abcdef0123456789abcdef", id, ""}, // a static pod
	} {
		pod, container, runtime, ok := kube(c.path)
		if !ok || pod != c.pod || container != c.container || runtime != c.runtime {
			t.Errorf("%s: pod %q, container %q, runtime %q, %v", c.path, pod, container, runtime, ok)
		}
	}
	for _, path := range []string{
		"/", "/system.slice/sshd.service", "/kubepods/burstable/pod" + uid, "/kubepods/burstable",
		"/kubepods.slice/kubepods-pod" + low + ".slice/crio-conmon-" + id + ".scope",
		"/kubepods.slice/kubepods-pod" + low + ".slice", "/user.slice/" + id, "/podxyz/" + id,
	} {
		if pod, container, _, ok := kube(path); ok {
			t.Errorf("%s is taken for container %q of pod %q", path, container, pod)
		}
	}
}

func TestRules(t *testing.T) {
	rules, err := Compile([]Rule{
		Testbed,
		{Cgroup: `^/system\.slice/(?P<unit>[^/]+)\.service$`, Env: "APP", Service: "${env}-${unit}"},
		{Cgroup: `^/kubepods`, Env: "OTEL_SERVICE_NAME", Service: "${env}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	environ := "HOME=/\x00APP=shop\x00OTEL_SERVICE_NAME=cart\x00"
	pod := "/kubepods/pod" + uid + "/" + id
	for _, c := range []struct {
		path, environ string
		want          wire.Container
		ok, again     bool
	}{
		{"/foresail-12/front-end-0", "", wire.Container{ID: "/foresail-12/front-end-0", Service: "front-end", Replica: "front-end-0"}, true, false},
		{"/foresail-12/users", "", wire.Container{ID: "/foresail-12/users"}, false, false},
		{"/foresail-12", "", wire.Container{ID: "/foresail-12"}, false, false},
		{"/system.slice/db.service", environ, wire.Container{ID: "/system.slice/db.service", Service: "shop-db", Replica: "shop-db-db.service"}, true, false},
		{"/system.slice/db.service", "HOME=/\x00", wire.Container{ID: "/system.slice/db.service"}, false, false},
		{"/system.slice/db.service", "", wire.Container{ID: "/system.slice/db.service"}, false, true},
		{pod, environ, wire.Container{ID: id, Pod: uid, Service: "cart", Replica: "cart-" + id[:12]}, true, false},
		{pod, "A=b\x00", wire.Container{ID: id, Pod: uid}, true, false}, // its service is for the daemon to say
		{pod, "", wire.Container{ID: id, Pod: uid}, true, true},
	} {
		got, ok, again := rules.Identify(c.path, func() []byte { return []byte(c.environ) })
		if got != c.want || ok != c.ok || again != c.again {
			t.Errorf("%s: %+v, %v, again %v", c.path, got, ok, again)
		}
	}
}

// A name from outside is bounded and valid text.
func TestNamesAreBounded(t *testing.T) {
	rules, _ := Compile([]Rule{{Cgroup: "^/x", Env: "S", Service: "${env}"}})
	c, ok, _ := rules.Identify("/x", func() []byte { return []byte("S=" + strings.Repeat("é", 1000) + "\xff") })
	if !ok || len(c.Service) > frames.MaxName || len(c.Replica) > frames.MaxName {
		t.Errorf("%d and %d bytes", len(c.Service), len(c.Replica))
	}
	if c, _, _ = rules.Identify("/x", func() []byte { return []byte("S=a\xffb$1") }); c.Service != "a_b$1" {
		t.Errorf("%q", c.Service)
	}
}

func TestFaultsOfRules(t *testing.T) {
	_, err := Compile([]Rule{{Cgroup: "(", Service: "x"}, {Cgroup: "^/a$", Service: ""}, {Cgroup: "^/a$", Service: "${env}"}})
	for _, want := range []string{"rules[0].cgroup", "rules[1].service", "rules[2].env"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add("/kubepods.slice/kubepods-pod"+strings.ReplaceAll(uid, "-", "_")+".slice/crio-"+id+".scope", "A=b")
	f.Add("/foresail-1/a-0", "")
	rules, err := Compile([]Rule{Testbed, {Cgroup: "^/(.*)$", Env: "A", Service: "${env}$1"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, environ string) {
		c, _, _ := rules.Identify(path, func() []byte { return []byte(environ) })
		if len(c.Service) > frames.MaxName || len(c.Replica) > frames.MaxName {
			t.Fatalf("%d and %d bytes", len(c.Service), len(c.Replica))
		}
	})
}
