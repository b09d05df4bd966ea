// Package agents is 'foresail agent', and the port where a managed application's agents report.
package agents

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"foresail.dev/access"
	"foresail.dev/appfile"
	"foresail.dev/telemetry/agent"
	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/identity"
	"foresail.dev/telemetry/agent/report"
	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"

	"github.com/spf13/cobra"
)

// CLI is what the program does the same way for every command.
type CLI struct {
	NoArgs    cobra.PositionalArgs
	Usage     func(error) error                                       // marks an error as one of usage
	Stoppable func(context.Context) (context.Context, func())         // ends with a signal
	Print     func(w io.Writer, rows, detail any) error               // as JSON
	Table     func(w io.Writer, head []string, rows [][]string) error // for people
}

func (c CLI) usagef(format string, args ...any) error { return c.Usage(fmt.Errorf(format, args...)) }

// flags are what an agent is told.
type flags struct {
	CLI
	daemon, node, rules, file string
	tokenFile                 string
	tls                       access.Files
	insecure, json            bool
	proc, sys                 string
	life                      time.Duration
	connections               float64
}

// NewAgent is the command.
func NewAgent(cli CLI) *cobra.Command {
	f := flags{CLI: cli}
	c := &cobra.Command{
		Use:   "agent --daemon HOST:PORT",
		Short: "Looks at this node ten times a second, and reports to a daemon",
		Long: `Looks at this node ten times a second: CPU, throttling and queues of each container, and once a second memory, disks,
network and pressure; and reports to 'foresail run' with 'agents' in its file. Runs until it is stopped. A daemon that is
slow or gone holds up nothing: the beats of the last six seconds are kept, older ones are dropped and counted.

Without --daemon and with --for it looks for that long, and prints what it saw and what looking cost.`,
		Example: `  foresail agent --for 5s
  foresail agent --daemon foresail.example.org:7421 --tls-ca ca.pem --token-file token`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	fl := c.Flags()
	fl.StringVar(&f.daemon, "daemon", "", "address that the daemon takes reports at")
	fl.StringVar(&f.node, "node", "", "name of this node; default: $NODE_NAME, or what the machine is called")
	fl.StringVarP(&f.file, "file", "f", "", "the agent's file (docs/formats/agent.md): rules, and what may be probed and divided here; default: nothing may")
	fl.StringVar(&f.rules, "rules", "", "file that says which control groups are which services (docs/formats/agent.md); default: replicas of a testbed")
	fl.StringVar(&f.tls.CA, "tls-ca", "", "CA (PEM) that the daemon's certificate must be signed by; default: the system's")
	fl.StringVar(&f.tls.Cert, "tls-cert", "", "certificate (PEM) to show to the daemon")
	fl.StringVar(&f.tls.Key, "tls-key", "", "private key of --tls-cert (PEM, mode 0600)")
	fl.StringVar(&f.tokenFile, "token-file", "", "file with a token of role write (mode 0600); it is read again at each connection")
	fl.BoolVar(&f.insecure, "insecure", false, "report without TLS to another machine: whoever is between can read and change it")
	fl.StringVar(&f.proc, "proc", "/proc", "where the node's process file system is")
	fl.StringVar(&f.sys, "sys", "/sys", "where the node's /sys is")
	fl.Float64Var(&f.connections, "connections", 0.2, "percent of a core that looking at all connections may take; 0: only accept queues are looked at")
	fl.DurationVar(&f.life, "for", 0, "stop after this time, and print what was seen; 0: run until stopped")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	c.AddCommand(newCheck(cli), newProbe(cli), newPartition(cli), newSink(cli))
	return c
}

// rulesFile is what --rules names.
type rulesFile struct {
	Rules []identity.Rule `yaml:"rules" rule:"required"`
}

func (f *flags) run(c *cobra.Command) error {
	began := time.Now()
	rules := []identity.Rule{identity.Testbed}
	if f.file != "" && f.rules != "" {
		return f.usagef("--file and --rules: both say whose control groups are: give one of them")
	}
	own, err := readFile(f.file)
	if err != nil {
		return err
	}
	if len(own.Rules) > 0 {
		rules, f.rules = own.Rules, f.file
	} else if f.rules != "" {
		var file rulesFile
		if err := appfile.ReadFile(f.rules, &file); err != nil {
			return f.Usage(err)
		}
		rules = file.Rules
	}
	compiled, err := identity.Compile(rules)
	if err != nil {
		return f.usagef("%s: %w", f.rules, err)
	}
	to, err := f.reports(c.ErrOrStderr())
	if err != nil {
		return err
	}
	if len(own.Partitions.Allow) > 0 { // an earlier 'agent partition' may have been killed
		if k, err := recovered(c.ErrOrStderr(), &own); err != nil {
			fmt.Fprintf(c.ErrOrStderr(), "undo of partitions: %v\n", err)
		} else if err := k.Close(); err != nil {
			return err
		}
	}
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), 2)) // it looks at a node, and leaves it to the others
	cfg := agent.Config{Rules: compiled, Proc: f.proc, Sys: f.sys, Connections: f.connections / 100}
	if f.connections <= 0 {
		cfg.Connections = -1
	}
	if f.proc != "/proc" { // the node's own view, not this container's
		m, err := cgroup.ReadMounts(filepath.Join(f.proc, "1/mountinfo"))
		if err != nil {
			return f.usagef("--proc: %w", err)
		}
		cfg.Mounts = &m
	}
	s, err := agent.NewSampler(cfg)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	defer s.Close()
	for _, n := range s.Notes() {
		fmt.Fprintf(c.ErrOrStderr(), "not available here: %s\n", n)
	}
	ctx, stop := f.Stoppable(c.Context())
	defer stop()
	if f.life > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.life)
		defer cancel()
	}
	seen := &seen{ring: report.NewRing(), keep: f.life > 0}
	sending := make(chan error, 1)
	if to == nil {
		sending <- nil
	} else {
		to.Hello = wire.Hello{Node: f.node, Instance: rand.Uint64(), Cores: uint32(runtime.NumCPU()), Memory: s.Memory(), Notes: s.Notes()}
		go func() { sending <- report.Run(ctx, *to, seen.ring) }()
	}
	before := measureCost()
	agent.Run(ctx, s, seen)
	cost := measureCost().since(before, seen.beats)
	if err := <-sending; err != nil {
		return f.usagef("agent: %w", err)
	}
	if f.life == 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d beats in %v, %.2f %% of a core; %d dropped, %d not sent yet\n", seen.beats,
			time.Since(began).Round(time.Second), cost.Core, seen.ring.Dropped(), seen.ring.Waiting())
		return nil
	}
	return f.print(c.OutOrStdout(), seen, cost)
}

// reports is where reports go, checked; nil: nowhere.
func (f *flags) reports(w io.Writer) (*report.Config, error) {
	if f.node == "" {
		f.node = os.Getenv("NODE_NAME")
	}
	if f.node == "" {
		name, err := os.Hostname()
		if err != nil || name == "" {
			return nil, f.usagef("what is this node called? give --node")
		}
		f.node = name
	}
	if f.daemon == "" {
		if f.life <= 0 {
			return nil, f.usagef("give --daemon, or --for to look at this node without reporting; see 'foresail agent --help'")
		}
		return nil, nil
	}
	to := &report.Config{Daemon: frames.Daemon{Address: f.daemon}, Log: func(line string) { fmt.Fprintf(w, "%s  %s\n", time.Now().Format(time.TimeOnly), line) }}
	t, err := f.transport()
	if err != nil {
		return nil, err
	}
	to.TLS = t
	if f.tokenFile != "" {
		if _, err := access.ReadSecret(f.tokenFile); err != nil {
			return nil, f.usagef("--token-file: %w", err)
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
		return nil, f.Usage(errors.New("--insecure is the opposite of the flags for TLS: give one of them"))
	case f.insecure, plain && access.Loopback(f.daemon):
		return nil, nil
	}
	t, err := access.Client(f.tls)
	if err != nil {
		return nil, f.Usage(err)
	}
	return t, nil
}
