package security

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"foresail.dev/telemetry/store/seal"
)

// keyRow is a key as a result: what tells it apart, and nothing else.
type keyRow struct {
	ID string `json:"id"`
}

// NewKey is the command that makes the keys that stores are encrypted with.
func NewKey(cli CLI) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Makes the keys that stores are encrypted with",
		Long: `Makes the keys that stores are encrypted with (history: key_file in foresail.yaml). Keep a copy elsewhere: without its
key nobody can read a store again.`,
		Args: cli.Needs(),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newKeyNew(cli), newKeyID(cli))
	return c
}

func newKeyNew(cli CLI) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "new --file FILE", Short: "Writes a new key to a file that nobody else can read", Args: cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			k := seal.NewKey()
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // a key that is there is never written over
			if err != nil {
				return cli.Usage(err)
			}
			_, err = fmt.Fprintln(f, k.Text().Reveal())
			if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
				return errors.Join(err, os.Remove(file))
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s holds %s; keep a copy elsewhere: what it encrypts can't be read without it\n", file, k)
			return nil
		},
	}
	c.Flags().StringVar(&file, "file", "", "where the key goes; it must not be there yet")
	return c
}

func newKeyID(cli CLI) *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use: "id --file FILE", Short: "Prints a key's id, which encrypted stores name and which tells nothing else about it", Args: cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := seal.ReadKey(file)
			if err != nil {
				return cli.Usage(err)
			}
			if asJSON {
				return cli.Print(c.OutOrStdout(), "key", []keyRow{{k.ID()}})
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), k.ID())
			return err
		},
	}
	fl := c.Flags()
	fl.StringVar(&file, "file", "", "key file")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}
