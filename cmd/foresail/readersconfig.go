package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/readers"
)

// readerConfig is one server under readers in foresail.yaml.
type readerConfig struct {
	Kind         string        `yaml:"kind" rule:"required,oneof=nginx|memcached|redis|postgres"`
	Address      string        `yaml:"address" rule:"required"`
	Service      string        `yaml:"service" rule:"required"` // of the application
	Replica      string        `yaml:"replica"`
	Every        time.Duration `yaml:"every" rule:"min=0"` // 0: each beat
	PasswordFile string        `yaml:"password_file"`      // relative to foresail.yaml
}

// checkReaders names every fault that can be seen without asking a server.
func checkReaders(path string, list []readerConfig) error {
	var errs []error
	for i, r := range list {
		if r.Every != 0 && r.Every < foresail.Beat {
			errs = append(errs, fmt.Errorf("%s: readers[%d].every: %v is shorter than a beat: use at least %v", path, i, r.Every, foresail.Beat))
		}
		if _, err := readers.New(r.Kind, r.Address, ""); err != nil {
			errs = append(errs, fmt.Errorf("%s: readers[%d].address: %w", path, i, err))
		}
	}
	return errors.Join(errs...)
}

// readerSources makes the readers; it reads the passwords.
func readerSources(app *foresail.App, list []readerConfig) ([]readers.Source, error) {
	var out []readers.Source
	for i, c := range list {
		if _, ok := app.ServiceByName(c.Service); !ok {
			return nil, cli.Usagef("readers[%d].service: %s has no service %q", i, app.Name, c.Service)
		}
		password := ""
		if c.PasswordFile != "" {
			b, err := os.ReadFile(c.PasswordFile)
			if err != nil {
				return nil, cli.Usagef("readers[%d].password_file: %w", i, err)
			}
			password = strings.TrimRight(string(b), "\r\n")
		}
		r, err := readers.New(c.Kind, c.Address, password)
		if err != nil {
			return nil, cli.Usagef("readers[%d].address: %w", i, err)
		}
		out = append(out, readers.Source{Service: c.Service, Replica: c.Replica, Reader: r, Every: c.Every})
	}
	return out, nil
}
