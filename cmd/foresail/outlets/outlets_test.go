package outlets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foresail.dev/cmd/foresail/promout"
)

// Every fault of every outlet is told at once, with its place, and nothing that is secret.
func TestFaultsOfOutlets(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := []Config{{Alertmanager: "http://127.0.0.1:9093", Labels: map[string]string{"team": "shop"}}, {Webhook: "https://hooks/T0KEN", SecretFile: "secret"}}
	if err := Check("foresail.yaml", dir, good); err != nil {
		t.Fatal(err)
	}
	r, err := Start(good, "", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	r.Metrics(func(_ string, _ float64, labels ...string) { names[labels[0]] = true })
	if len(names) != 2 || !names["webhook https://hooks"] {
		t.Errorf("they are called %v", names)
	}
	r.Close()
	for want, c := range map[string]Config{
		"one of alertmanager and webhook": {},
		"host":                            {Webhook: "T0KEN"},
		"is not there":                    {Webhook: "https://hooks/T0KEN", SecretFile: "nowhere"},
		"knows no signatures":             {Alertmanager: "http://am", SecretFile: "secret"},
		"no name of a label":              {Alertmanager: "http://am", Labels: map[string]string{"a-b": "c"}},
		"a webhook has none":              {Webhook: "https://hooks/T0KEN", Labels: map[string]string{"a": "b"}},
		"basic_auth":                      {Webhook: "https://hooks", LetIn: promout.LetIn{BasicAuth: promout.BasicAuth{Username: "me"}}},
		"holds a name or password":        {Alertmanager: "http://me:T0KEN@am"},
	} {
		err := Check("foresail.yaml", dir, []Config{good[0], c})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "foresail.yaml: outlets[1]") || strings.Contains(err.Error(), "T0KEN") {
			t.Errorf("want %q: %v", want, err)
		}
	}
	if none, err := Start(nil, "", nil); none != nil || err != nil {
		t.Error(none, err)
	}
}
