package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/telemetry/jaeger"
)

func newImportJaeger() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "jaeger FILE",
		Short: "Reads traces as Jaeger exports them, and prints services, calls and latencies",
		Long: `Reads traces in the JSON that Jaeger's page and API export, plain or compressed by gzip, and prints the services,
the calls between them, and the endpoints, with latencies. "-" reads standard input.`,
		Example: "  foresail import jaeger traces.json.gz --json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("give one file of traces, or - for standard input")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return importJaeger(c, args[0], asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func importJaeger(c *cobra.Command, path string, asJSON bool) error {
	in := c.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return usage(err)
		}
		defer f.Close()
		in = f
	}
	s, err := jaeger.Summarize(in)
	var bad *jaeger.SyntaxError
	switch {
	case errors.As(err, &bad):
		return fmt.Errorf("%s: %w", path, err)
	case err != nil:
		return fmt.Errorf("reading %s: %w", path, err)
	}
	out := c.OutOrStdout()
	if asJSON {
		r := newResult("import", nil, append([]jaeger.Row{}, s.Rows()...)) // a list, also when empty
		r.Detail = s.Assembler
		return printJSON(out, r)
	}
	return printImport(out, s)
}

func printImport(w io.Writer, s *jaeger.Summary) error {
	if s.Spans == 0 {
		_, err := fmt.Fprintln(w, "no spans")
		return err
	}
	fmt.Fprintf(w, "%d traces, %d spans (%d without a kind), %s to %s\n\n", s.Traces, s.Spans, s.Inferred,
		s.Start.UTC().Format(time.RFC3339), s.End.UTC().Format(time.RFC3339))
	var cells [][]string
	for _, r := range s.Rows() {
		name, calls := r.Service, r.Calls
		switch r.Kind {
		case "edge":
			name = r.From + " → " + r.To
		case "endpoint":
			name, calls = r.Endpoint, r.Requests
		}
		cells = append(cells, []string{r.Kind, name, opt("%d", r.Spans), opt("%.0f", calls), opt("%.0f", r.Errors),
			opt("%.3f", r.Mean), opt("%.3f", r.P50), opt("%.3f", r.P99)})
	}
	return table(w, []string{"kind", "name", "spans", "calls", "errors", "mean ms", "p50 ms", "p99 ms"}, cells)
}
