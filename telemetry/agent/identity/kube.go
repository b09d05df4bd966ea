package identity

import (
	"path"
	"strings"
)

// kube reads the path of a container's control group as the kubelet and container runtimes name them:
//
//	cgroupfs driver  /kubepods/burstable/pod1c9b…/4f2a…
//	systemd driver   /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1c9b_….slice/cri-containerd-4f2a….scope
//	                 the same with crio-4f2a….scope, docker-4f2a….scope, cri-dockerd and libpod
//	Docker alone     /docker/4f2a…, /system.slice/docker-4f2a….scope
//
// A kubelet may itself run in a group, so what stands before kubepods does not matter. ok is false for every other
// path, such as a pod's own, and a runtime's helper (crio-conmon-….scope).
func kube(p string) (pod, container, runtime string, ok bool) {
	runtime, container = scope(path.Base(p))
	if !hexID(container) {
		return "", "", "", false
	}
	pod = podUID(path.Base(path.Dir(p)))
	switch {
	case pod != "" && strings.Contains(p, "kubepods"):
	case runtime == "docker" || path.Base(path.Dir(p)) == "docker":
		runtime = "docker"
	default:
		return "", "", "", false
	}
	return pod, container, runtime, true
}

// scope reads a container's own name: "RUNTIME-ID.scope" or the bare id.
func scope(name string) (runtime, id string) {
	inner, systemd := strings.CutSuffix(name, ".scope")
	if !systemd {
		return "", name
	}
	i := strings.LastIndexByte(inner, '-')
	if i < 0 {
		return "", inner
	}
	switch runtime = inner[:i]; runtime {
	case "cri-containerd", "nerdctl":
		runtime = "containerd"
	case "crio":
		runtime = "cri-o"
	case "docker", "cri-dockerd":
		runtime = "docker"
	case "libpod":
		runtime = "podman"
	default: // crio-conmon, libpod-conmon: not what works
		return "", ""
	}
	return runtime, inner[i+1:]
}

// podUID reads a pod's uid from "podUID", "kubepods-podUID.slice" or "kubepods-QOS-podUID.slice"; the systemd driver
// writes dashes as underscores.
func podUID(name string) string {
	if inner, systemd := strings.CutSuffix(name, ".slice"); systemd {
		_, uid, ok := strings.Cut(inner, "-pod")
		if !ok {
			return ""
		}
		return validUID(strings.ReplaceAll(uid, "_", "-"))
	}
	uid, ok := strings.CutPrefix(name, "pod")
	if !ok {
		return ""
	}
	return validUID(uid)
}

// validUID takes a UUID, or the hash that a static pod has.
func validUID(uid string) string {
	if len(uid) < 16 || len(uid) > 64 {
		return ""
	}
	for _, c := range uid {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c == '-') {
			return ""
		}
	}
	return uid
}

// hexID takes the id that runtimes draw: 64 hexadecimal digits, at least 32 of them.
func hexID(id string) bool {
	if len(id) < 32 || len(id) > 64 {
		return false
	}
	for _, c := range id {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
