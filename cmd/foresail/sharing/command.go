package sharing

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/callgraph/shares/methods"
)

// NewEvaluate is the command, a part of foresail callgraph.
func NewEvaluate() *cobra.Command {
	var file, data, train string
	var names []string
	var seed uint64
	var asJSON bool
	c := &cobra.Command{
		Use:   "evaluate (-f SHARES.yaml | --data SHARES.csv)",
		Short: "Measures methods that predict how requests divide among call graphs",
		Long: `Lets each method predict the shares of call graphs one window ahead, from the windows before, on series that it was not trained
on: series are divided into folds, and each is predicted by what was trained on the others, or on those of --train. Prints how
far predictions were off, over all windows and over those that changed, beside the last value.`,
		Example: `  foresail callgraph evaluate -f examples/derm-shares.yaml --json
  foresail callgraph evaluate --data shares.csv.gz --method last-value --method regimes`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if (file == "") == (data == "") {
				return cli.Usagef("%s needs either --file or --data; see %q", c.CommandPath(), c.CommandPath()+" --help")
			}
			if file != "" && (train != "" || len(names) > 0 || c.Flags().Changed("seed")) {
				return cli.Usagef("--train, --method and --seed belong to --data: a file says them itself")
			}
			for _, n := range names {
				if _, ok := methods.ByName(n); !ok {
					return cli.Usagef("--method %q: there are %s", n, strings.Join(methods.Names(), ", "))
				}
			}
			p := cli.NewProgress(c.ErrOrStderr())
			p.At(0, "reading the data")
			f, all, err := read(file, data, train, names, seed)
			if err != nil {
				p.End()
				return cli.Usage(err)
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			r, err := Measure(ctx, f, all, p.At)
			p.End()
			if len(r.Rows) == 0 {
				return err
			}
			if asJSON {
				res := cli.NewResult("callgraph-evaluate", &f.Seed, r.Rows)
				res.Detail = r.Detail
				return errors.Join(err, cli.PrintJSON(c.OutOrStdout(), res))
			}
			return errors.Join(err, r.print(c.OutOrStdout()))
		},
	}
	fl := c.Flags()
	fl.StringVarP(&file, "file", "f", "", "which methods, and on what; see docs/formats/shares.md")
	fl.StringVar(&data, "data", "", "shares to predict: CSV, compressed with gzip or not")
	fl.StringVar(&train, "train", "", "shares to train on, in another file like --data; without it, series of --data are left out in turns")
	fl.StringArrayVar(&names, "method", nil, "one of "+strings.Join(methods.Names(), ", ")+"; may be given again; without it, all")
	fl.Uint64Var(&seed, "seed", 1, "seed of everything that is drawn")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// read reads a file, or makes one of flags.
func read(file, data, train string, names []string, seed uint64) (File, []Dataset, error) {
	if file != "" {
		return Read(file)
	}
	f := defaults()
	f.Seed, f.Methods = seed, names
	name, _, _ := strings.Cut(filepath.Base(data), ".")
	f.Datasets = []dataset{{Name: name, File: data, Train: train}}
	all, err := f.read("")
	if err != nil {
		err = fmt.Errorf("%w; see docs/formats/shares.md", err)
	}
	return f, all, err
}
