package adapting

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/model/tail/adapt"
	"foresail.dev/telemetry/store/bucket"
)

// Config is "adapt" of foresail.yaml: true, false or a mapping. A mapping without `enabled` is meant to be on.
type Config struct {
	Enabled *bool          `yaml:"enabled"`
	Models  string         `yaml:"models"` // folder or bucket that keeps the models which took over; empty: they are not kept
	Data    string         `yaml:"data"`   // folder of the steps that the model was trained on; empty: they are not known
	Keep    *time.Duration `yaml:"keep"`
	Least   *time.Duration `yaml:"least"`
	Every   *time.Duration `yaml:"every"`
	Held    *appfile.Share `yaml:"held"`
	Margin  *appfile.Share `yaml:"margin"`
}

// UnmarshalText reads the short form.
func (c *Config) UnmarshalText(b []byte) error {
	on := string(b) == "true"
	if !on && string(b) != "false" {
		return fmt.Errorf("is %q, must be true, false or a mapping", b)
	}
	c.Enabled = &on
	return nil
}

// Check tells what is wrong with it.
func (c *Config) Check(at appfile.Place) {
	p := c.Policy()
	if err := p.Check(); err != nil {
		at.Faultf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if c.Models != "" {
		if err := bucket.Check(c.Models); err != nil {
			at.At("models").Faultf("%v", err)
		}
	}
}

// On reports whether the run adapts its model; a nil Config is off.
func (c *Config) On() bool { return c != nil && (c.Enabled == nil || *c.Enabled) }

// In makes names of files those relative to a folder.
func (c *Config) In(dir string) {
	if c == nil {
		return
	}
	if c.Models != "" && !strings.Contains(c.Models, "://") && !filepath.IsAbs(c.Models) {
		c.Models = filepath.Join(dir, c.Models)
	}
	if c.Data != "" && !filepath.IsAbs(c.Data) {
		c.Data = filepath.Join(dir, c.Data)
	}
}

// Policy is when it fine-tunes, and what is good enough.
func (c *Config) Policy() adapt.Config {
	p := adapt.Default()
	set := func(to *time.Duration, from *time.Duration) {
		if from != nil {
			*to = *from
		}
	}
	set(&p.Keep, c.Keep)
	set(&p.Least, c.Least)
	set(&p.Every, c.Every)
	p.Most = max(p.Most, p.Every)
	if c.Held != nil {
		p.Held = float64(*c.Held)
	}
	if c.Margin != nil {
		p.Margin = float64(*c.Margin)
	}
	return p
}
