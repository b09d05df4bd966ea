// Package outlets is `outlets` of foresail.yaml: who is told of violations that are foreseen.
package outlets

import (
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/common/model"

	"foresail.dev/access"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/promout"
	"foresail.dev/telemetry/outlet"
)

// Config is one of `outlets`: an Alertmanager or a webhook.
type Config struct {
	Alertmanager  string            `yaml:"alertmanager"` // URL
	Webhook       string            `yaml:"webhook"`      // URL
	Labels        map[string]string `yaml:"labels"`       // added to Alertmanager's alerts
	SecretFile    string            `yaml:"secret_file"`  // signs a webhook's requests
	promout.LetIn `yaml:",inline"`
}

// Check makes file names relative to the configuration's folder, and tries what can be tried without the servers. All faults are told
// at once.
func Check(path, dir string, all []Config) error {
	var errs []error
	for i := range all {
		c := &all[i]
		c.In(dir)
		if c.SecretFile != "" {
			c.SecretFile = cli.Relative(dir, c.SecretFile)
		}
		if _, err := c.sender(""); err != nil {
			errs = append(errs, fmt.Errorf("%s: outlets[%d]: %w", path, i, err))
		}
	}
	return errors.Join(errs...)
}

// sender is what the outlet sends with; page is where people see more.
func (c *Config) sender(page string) (outlet.Sender, error) {
	if (c.Alertmanager == "") == (c.Webhook == "") {
		return nil, errors.New("give one of alertmanager and webhook, each a URL")
	}
	client, err := c.HTTP()
	if err != nil {
		return nil, err
	}
	if c.Alertmanager != "" {
		for name := range c.Labels {
			if !model.LegacyValidation.IsValidLabelName(name) {
				return nil, fmt.Errorf("labels: %q is no name of a label: use letters, digits and _", name)
			}
		}
		if c.SecretFile != "" {
			return nil, errors.New("secret_file: Alertmanager knows no signatures: use basic_auth, bearer_token_file or tls")
		}
		a, err := outlet.NewAlertmanager(c.Alertmanager, client, c.Headers, c.Labels, page)
		if err != nil {
			return nil, fmt.Errorf("alertmanager: %w", err)
		}
		return a, nil
	}
	if len(c.Labels) > 0 {
		return nil, errors.New("labels: a webhook has none")
	}
	var secret access.Secret
	if c.SecretFile != "" {
		if secret, err = access.ReadSecret(c.SecretFile); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("secret_file: %s is not there", c.SecretFile)
		} else if err != nil {
			return nil, fmt.Errorf("secret_file: %w", err)
		}
	}
	w, err := outlet.NewWebhook(c.Webhook, client, c.Headers, secret)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return w, nil
}
