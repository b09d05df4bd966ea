package peers_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"foresail.dev/internal/peers"
)

// Both answer PromQL, each from its own database.
func TestPeersAnswerQueries(t *testing.T) {
	for name, s := range map[string]*peers.Server{"Prometheus": peers.Prometheus(t, ""), "VictoriaMetrics": peers.VictoriaMetrics(t)} {
		if body := get(t, s.URL+"/api/v1/query?query="+url.QueryEscape("1+1")); !strings.Contains(body, `"2"`) {
			t.Errorf("%s at %s answers %s\n%s", name, s.URL, body, s.Log())
		}
	}
}

// A second server is another one: tests do not see each other's series.
func TestTwoPeersShareNothing(t *testing.T) {
	a, b := peers.Prometheus(t, ""), peers.Prometheus(t, "")
	if a.URL == b.URL {
		t.Error("two servers at one address:", a.URL)
	}
}

func get(t *testing.T, u string) string {
	t.Helper()
	resp, err := http.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
