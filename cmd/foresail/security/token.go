package security

import (
	"encoding/hex"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/access"
)

// CLI is what the program's other commands share: how they refuse arguments, mark errors of usage and print results.
type CLI struct {
	Needs func(flags ...string) cobra.PositionalArgs
	Usage func(error) error
	Print func(w io.Writer, name string, rows any) error // as JSON
}

func (c CLI) usagef(format string, args ...any) error { return c.Usage(fmt.Errorf(format, args...)) }

// NewToken is the command that makes, lists and revokes tokens.
func NewToken(cli CLI) *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Makes, lists and revokes the tokens that Foresail's ports ask for",
		Long: `Makes, lists and revokes the tokens that Foresail's ports ask for (docs/security.md). A token file holds a line for
each: a name, a role (read, or write, which sends telemetry and changes things too) and the token's SHA-256. The token
itself is shown once. Servers read the file again when it changes.`,
		Args: cli.Needs(),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTokenNew(cli), newTokenList(cli), newTokenRevoke(cli))
	return c
}

func newTokenNew(cli CLI) *cobra.Command {
	var name, role, file, cert string
	var life time.Duration
	c := &cobra.Command{
		Use:   "new --name NAME --role read|write --file FILE",
		Short: "Adds a token to a file and prints it, once",
		Example: `  foresail token new --name ci --role read --file tokens
  foresail token new --name node-7 --role write --cert spiffe://example.org/node-7 --file tokens`,
		Args: cli.Needs("name", "role", "file"),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := access.ParseRole(role)
			if err != nil {
				return cli.usagef("--role: %w", err)
			}
			var until time.Time
			if c.Flags().Changed("life") {
				if life <= 0 {
					return cli.usagef("--life %v: give a time longer than zero, such as 720h", life)
				}
				until = time.Now().Add(life)
			}
			token, e, err := access.NewToken(name, r, until)
			if err != nil {
				return cli.Usage(err)
			}
			if c.Flags().Changed("cert") {
				if cert == "" {
					return cli.usagef("--cert: name a certificate")
				}
				e.Hash, e.Subject = [32]byte{}, cert
			}
			if err := access.AddEntry(file, e); err != nil {
				return cli.Usage(err)
			}
			if e.Subject != "" {
				fmt.Fprintf(c.ErrOrStderr(), "%s: whoever shows a certificate of %s has role %s\n", name, cert, r)
				return nil
			}
			fmt.Fprintln(c.OutOrStdout(), token.Reveal())
			fmt.Fprintf(c.ErrOrStderr(), "%s has role %s; keep the token now, it is not shown again (%s holds its hash)\n", name, r, file)
			return nil
		},
	}
	fl := c.Flags()
	fl.StringVar(&name, "name", "", "whose token it is: what logs and the page say, and revoke takes")
	fl.StringVar(&role, "role", "", "read: see everything that is shown; write: send telemetry and change things too")
	fl.StringVar(&file, "file", "", "token file; it is made when there is none")
	fl.StringVar(&cert, "cert", "", "instead of a token: the URI, DNS or (where it has neither) common name in a client certificate that --tls-client-ca signed")
	fl.DurationVar(&life, "life", 0, "how long it is good for; for ever when left out")
	return c
}

// tokenRow is one entry of a token file as a result.
type tokenRow struct {
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Cert    string     `json:"cert,omitempty"`
	Hash    string     `json:"sha256,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
	Expired bool       `json:"expired"`
}

func newTokenList(cli CLI) *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use: "list --file FILE", Short: "Lists who has a token, with which role and until when", Args: cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			es, err := access.ReadEntries(file)
			if err != nil {
				return cli.Usage(err)
			}
			rows := make([]tokenRow, len(es))
			for i, e := range es {
				rows[i] = tokenRow{Name: e.Name, Role: e.Role.String(), Cert: e.Subject}
				if e.Subject == "" {
					rows[i].Hash = hex.EncodeToString(e.Hash[:])
				}
				if !e.Until.IsZero() {
					rows[i].Until, rows[i].Expired = &e.Until, !time.Now().Before(e.Until)
				}
			}
			if asJSON {
				return cli.Print(c.OutOrStdout(), "token", rows)
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "name\trole\tproved by\tuntil")
			for _, r := range rows {
				by, until := "token", "it is revoked"
				if r.Cert != "" {
					by = "certificate " + r.Cert
				}
				if r.Until != nil {
					until = r.Until.Format(time.RFC3339)
				}
				if r.Expired {
					until += " (over)"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Name, r.Role, by, until)
			}
			return w.Flush()
		},
	}
	fl := c.Flags()
	fl.StringVar(&file, "file", "", "token file")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func newTokenRevoke(cli CLI) *cobra.Command {
	var file, name string
	c := &cobra.Command{
		Use: "revoke --name NAME --file FILE", Short: "Takes a token out of a file; servers that use it stop taking it within seconds", Args: cli.Needs("name", "file"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := access.RemoveEntry(file, name); err != nil {
				return cli.Usage(err)
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s is revoked\n", name)
			return nil
		},
	}
	fl := c.Flags()
	fl.StringVar(&name, "name", "", "whose token")
	fl.StringVar(&file, "file", "", "token file")
	return c
}
