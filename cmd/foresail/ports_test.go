package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every address that a file can name is refused beyond loopback without TLS and tokens, before anything is started. A port
// that is added to the file belongs here.
func TestNoPortIsOpenByAccident(t *testing.T) {
	const bed = "cluster: testbed\nlisten: 127.0.0.1:0\n"
	for name, c := range map[string]struct{ file, port string }{
		"page":            {"listen: 0.0.0.0:0\n", "page"},
		"OTLP gRPC":       {bed + "otlp: {grpc: '0.0.0.0:0', http: '127.0.0.1:0'}\n", "otlp"},
		"OTLP HTTP":       {bed + "otlp: {grpc: '127.0.0.1:0', http: '[::]:0'}\n", "otlp"},
		"agents":          {bed + "otlp: {grpc: '127.0.0.1:0', http: '127.0.0.1:0'}\nagents: {listen: '0.0.0.0:0'}\n", "agents"},
		"ingesters":       {bed + "otlp: {grpc: '127.0.0.1:0', http: '127.0.0.1:0'}\ningesters: {listen: '0.0.0.0:0'}\n", "ingesters"},
		"testbed metrics": {bed + "otlp: {grpc: '127.0.0.1:0', http: '127.0.0.1:0'}\ntestbed: {metrics: {listen: '0.0.0.0:0'}}\n", "metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for f, text := range map[string]string{"load.yaml": "load: steady\ncurve:\n  - constant: 10\n",
				"run.yaml": "application: hotel-reservation\nload: load.yaml\nduration: 1s\n" + c.file} {
				if err := os.WriteFile(filepath.Join(dir, f), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(dir, "run.yaml")
			out, err := program(t, "run", "-f", file).CombinedOutput()
			if err == nil || exitOf(err) != "2" || !strings.Contains(string(out), "can be reached from other machines") || !strings.Contains(string(out), "TLS") {
				t.Errorf("%v: %s", err, out)
			}
			for _, other := range portsBut(c.port) {
				if out, err := program(t, "run", "-f", file, "--insecure-listen", other).CombinedOutput(); err == nil || exitOf(err) != "2" {
					t.Errorf("allowing %s allows it: %v: %s", other, err, out)
				}
			}
		})
	}
}

// portsBut are the names of all ports but one.
func portsBut(port string) (out []string) {
	for _, p := range []string{"page", "otlp", "agents", "metrics", "ingesters"} {
		if p != port {
			out = append(out, p)
		}
	}
	return out
}
