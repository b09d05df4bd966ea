// Package ingesters is 'foresail ingest', and the port where a managed application's ingesters report.
package ingesters

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"foresail.dev/access"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/telemetry/frames"
	"foresail.dev/telemetry/otlp"
	"foresail.dev/telemetry/relay/send"

	"github.com/spf13/cobra"
)

// flags are what an ingester is told.
type flags struct {
	daemon, name, tokenFile string
	tls                     access.Files
	insecure, json          bool
	grpc, http              string
	shards                  int
	memory                  string
	ports                   security.Config
}

// New is the command.
func New() *cobra.Command {
	f := flags{}
	c := &cobra.Command{
		Use:   "ingest --daemon HOST:PORT",
		Short: "Takes in a share of an application's spans, and sends what it counts to a daemon",
		Long: `Takes in a share of an application's spans, and each beat sends what it counted to 'foresail run' with 'ingesters' in its
file, which merges that into the snapshots that one process would make of all spans. As many may run as are needed: all spans
of a trace must come to the same one, as the OpenTelemetry Collector's load-balancing exporter sends them. What the application is
the daemon says; until it has, no port is opened. Runs until it is stopped. A daemon that is slow or gone holds up nothing: what was
counted in the last six seconds is kept, older counts are dropped and told.`,
		Example: `  foresail ingest --daemon 127.0.0.1:7423 --otlp-grpc 127.0.0.1:4327 --otlp-http ''
  foresail ingest --daemon foresail.example.org:7423 --daemon-ca ca.pem --token-file token --otlp-grpc 0.0.0.0:4317 --tls-cert server.pem --tls-key server.key --tokens tokens`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	fl := c.Flags()
	fl.StringVar(&f.daemon, "daemon", "", "address that the daemon takes counts at")
	fl.StringVar(&f.name, "name", "", "name of this ingester, which no other one has; default: what the machine is called and the first port")
	fl.StringVar(&f.tls.CA, "daemon-ca", "", "CA (PEM) that the daemon's certificate must be signed by; default: the system's")
	fl.StringVar(&f.tls.Cert, "daemon-cert", "", "certificate (PEM) to show to the daemon")
	fl.StringVar(&f.tls.Key, "daemon-key", "", "private key of --daemon-cert (PEM, mode 0600)")
	fl.StringVar(&f.tokenFile, "token-file", "", "file with a token of role write, for the daemon (mode 0600); it is read again at each connection")
	fl.BoolVar(&f.insecure, "insecure", false, "report without TLS to another machine: whoever is between can read and change it")
	fl.StringVar(&f.grpc, "otlp-grpc", otlp.DefaultGRPC, "address where spans are received over gRPC; empty: nowhere")
	fl.StringVar(&f.http, "otlp-http", otlp.DefaultHTTP, "address where spans are received over HTTP; empty: nowhere")
	fl.IntVar(&f.shards, "shards", 1, "assemblers that share the traces, each on a core of its own")
	fl.StringVar(&f.memory, "memory", "", "that what is kept of spans may take, for example 512MiB; default: up to 4 million spans and 40,960 open cells")
	fl.BoolVar(&f.json, "json", false, "print, at the end, what was counted as JSON")
	f.ports.Register(fl)
	return c
}

func (f *flags) run(c *cobra.Command) error {
	cfg, err := f.sends(c.ErrOrStderr())
	if err != nil {
		return err
	}
	ports, err := f.ports.Open(c.ErrOrStderr())
	if err != nil {
		return cli.Usage(err)
	}
	receiving := otlp.Config{GRPC: f.grpc, HTTP: f.http, TLS: ports.TLS, Tokens: ports.Tokens, AllowRemote: ports.Allows("otlp"), Log: ports.Log}
	if err := receiving.Validate(); err != nil {
		return cli.Usage(err)
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	sending, end := context.WithCancel(context.WithoutCancel(ctx)) // goes on until no more spans come
	defer end()
	g := send.New(*cfg)
	ended := make(chan error, 1)
	go func() { ended <- g.Run(sending) }()
	select {
	case <-g.Ready():
	case err := <-ended:
		return cli.Usagef("ingest: %w", err)
	case <-ctx.Done():
		end()
		return errors.Join(<-ended, f.print(c.OutOrStdout(), g))
	}
	receiving.Now = g.Now
	r, err := otlp.Listen(receiving, g)
	if err != nil {
		end()
		if !errors.Is(err, syscall.EADDRINUSE) {
			err = cli.Usage(err)
		}
		return errors.Join(err, <-ended)
	}
	for _, addr := range []string{r.GRPCAddr(), r.HTTPAddr()} {
		if addr != "" {
			fmt.Fprintf(c.ErrOrStderr(), "takes spans at %s\n", addr)
			ports.Warn("otlp", addr)
		}
	}
	select {
	case <-ctx.Done():
	case err := <-ended:
		ended <- err
	}
	closing, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err = r.Shutdown(closing)
	end()
	return errors.Join(err, <-ended, f.print(c.OutOrStdout(), g))
}

// print says what was counted.
func (f *flags) print(w io.Writer, g *send.Ingester) error {
	s := g.Stats()
	if f.json {
		return cli.PrintJSON(w, cli.NewResult("ingest", nil, []send.Stats{s}))
	}
	_, err := fmt.Fprintf(w, "%d spans received, %d dropped; %d parts made, %d not acknowledged; %.0f requests given up, %.0f unsure\n",
		s.Spans.Received, s.Spans.Dropped.Total(), s.Parts, s.Waiting, s.Lost, s.Unsure)
	return err
}

// sends is where counts go, checked.
func (f *flags) sends(w io.Writer) (*send.Config, error) {
	if f.daemon == "" {
		return nil, cli.Usagef("give --daemon; see 'foresail ingest --help'")
	}
	if f.shards < 1 || f.shards > 64 {
		return nil, cli.Usagef("--shards %d: from 1 to 64", f.shards)
	}
	var memory appfile.Bytes
	if f.memory != "" {
		if err := memory.UnmarshalText([]byte(f.memory)); err != nil {
			return nil, cli.Usagef("--memory: %w", err)
		}
	}
	if f.name == "" {
		host, err := os.Hostname()
		if err != nil || host == "" {
			return nil, cli.Usagef("what is this machine called? give --name")
		}
		f.name = host + " " + f.grpc
		if f.grpc == "" {
			f.name = host + " " + f.http
		}
	}
	var mu sync.Mutex
	to := &send.Config{Daemon: frames.Daemon{Address: f.daemon}, Name: f.name, Shards: f.shards, Memory: int64(memory), Log: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%s  %s\n", time.Now().Format(time.TimeOnly), line)
	}}
	var err error
	if to.TLS, err = f.transport(); err != nil {
		return nil, err
	}
	if f.tokenFile != "" {
		if _, err := access.ReadSecret(f.tokenFile); err != nil {
			return nil, cli.Usagef("--token-file: %w", err)
		}
		to.Token = func() (string, error) {
			s, err := access.ReadSecret(f.tokenFile)
			return s.Reveal(), err
		}
	}
	return to, nil
}

// transport is TLS, but to this machine itself where no file for TLS is named, or where it is said so by name.
func (f *flags) transport() (*tls.Config, error) {
	plain := f.tls.CA == "" && f.tls.Cert == "" && f.tls.Key == ""
	switch {
	case f.insecure && !plain:
		return nil, cli.Usagef("--insecure is the opposite of --daemon-ca, --daemon-cert and --daemon-key: give one of them")
	case f.insecure, plain && access.Loopback(f.daemon):
		return nil, nil
	}
	t, err := access.Client(f.tls)
	if err != nil {
		return nil, cli.Usage(err)
	}
	return t, nil
}
