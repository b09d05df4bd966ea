package web

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"foresail.dev"
	"foresail.dev/access"
)

// DefaultAddr is where the page is served when Config.Addr is empty.
const DefaultAddr = "127.0.0.1:7420"

// Config says what is shown, and to whom.
type Config struct {
	App     *foresail.App // required; followed through generations by the feed
	Title   string        // in the page's header; empty: the application's name
	Mode    string        // loop mode shown until the first decision: observe, recommend or auto
	Manager string        // manager shown until the first plan names one

	// Beside is what another run of the same application is called, which Server.Beside is told; empty: there is none.
	Beside string

	// Controls shift the load; nil: there are none (the load is real).
	Controls Controls

	// Metrics answers /metrics; nil: there is no such page.
	Metrics http.Handler

	// Insights says what in the application's design invites violations, over the time since the newest snapshot less that; 0: over all that is
	// kept. It returns at once; nil: no history is kept.
	Insights func(since time.Duration) Insights

	// CallGraphs says which call graphs requests took of late. It returns at once; nil: nobody knows.
	CallGraphs func() CallGraphs

	Addr        string   // host:port; empty: DefaultAddr; port 0 takes a free one
	AllowRemote bool     // permits an Addr that other machines can reach without TLS and Tokens
	Hosts       []string // names, besides localhost, IP addresses and the name a TLS client asked for, that requests may ask for

	TLS        *tls.Config      // nil: no TLS
	Tokens     *access.Tokens   // who may see (role read) and change (write); nil: everybody who reaches Addr
	Log        func(msg string) // told, a few times a minute at most, of connections that failed; nil: nobody is
	MaxClients int              // streams at the same time; 0: 32

	// Hold is how long a snapshot waits for late spans before its objectives are judged; see foresail.Judge.
	Hold time.Duration

	// Every is the least time between two updates of one stream; 0: one second.
	Every time.Duration
}

const (
	defaultClients = 32
	// coalesce is how long a stream waits after a change, so that a snapshot and the decision made on it go together.
	coalesce = 20 * time.Millisecond
)

func (c *Config) fill() error {
	var errs []error
	if c.App == nil {
		errs = append(errs, errors.New("web: Config.App is missing: name the application to show"))
	}
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	if err := access.CheckListen(c.Addr, c.TLS != nil, c.Tokens != nil, c.AllowRemote); err != nil {
		errs = append(errs, fmt.Errorf("web: %w", err))
	}
	if c.MaxClients == 0 {
		c.MaxClients = defaultClients
	}
	if c.MaxClients < 0 {
		errs = append(errs, fmt.Errorf("web: Config.MaxClients is %d: give a positive number, or 0 for %d", c.MaxClients, defaultClients))
	}
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.Every < 0 {
		errs = append(errs, fmt.Errorf("web: Config.Every is %s: give a positive time, or 0 for one second", c.Every))
	}
	return errors.Join(errs...)
}
