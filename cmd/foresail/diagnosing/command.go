package diagnosing

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/diagnose/culprits"
	"foresail.dev/model/diagnose/rank"
)

// New is the command.
func New() *cobra.Command {
	c := &cobra.Command{
		Use:   "diagnose",
		Short: "Says which service is to blame",
		Args:  cli.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newEvaluate())
	return c
}

func newEvaluate() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "evaluate -f CULPRITS.yaml",
		Short: "Measures methods that name the culprit, on recorded issues whose culprit is known",
		Long: `Lets each method rank the services in recorded issues, from what was observed in a normal period and during the issue and from
who calls whom. Prints how often the culprit was first, or among the first, and how long a ranking took. Nothing is fitted to who
was to blame: that is read for the figures alone.`,
		Example: "  foresail diagnose evaluate -f examples/culprits.yaml --json",
		Args:    cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			p := cli.NewProgress(c.ErrOrStderr())
			p.At(0, "reading the data")
			f, all, err := Read(file)
			if err != nil {
				p.End()
				return cli.Usage(err)
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			r, err := Measure(ctx, f, all, p.At)
			p.End()
			if err != nil {
				return err
			}
			if asJSON {
				res := cli.NewResult("diagnose-evaluate", nil, r.Rows)
				res.Detail = r.Detail
				return cli.PrintJSON(c.OutOrStdout(), res)
			}
			return r.print(c.OutOrStdout())
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "which methods, and on what; see docs/formats/culprits.md")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// Row is how one method did on one data set.
type Row struct {
	Dataset string  `json:"dataset"`
	Method  string  `json:"method"`
	Cases   int     `json:"cases"`
	Top1    float64 `json:"top1"`
	Top3    float64 `json:"top3"`
	Avg5    float64 `json:"avg5"`
	Ms      float64 `json:"ms_per_case"`
}

// Result is the rows and what does not fit in them.
type Result struct {
	Rows   []Row
	Detail Detail
}

// Detail tells of each case where methods put the culprit, and what of the data was not used.
type Detail struct {
	Cases []CaseDetail `json:"cases"`
	Notes []string     `json:"notes,omitempty"`
}

// CaseDetail is one case.
type CaseDetail struct {
	Dataset string         `json:"dataset"`
	Name    string         `json:"case"`
	Culprit string         `json:"culprit"`
	Places  map[string]int `json:"places"`          // by method, from 1 on; 0: the culprit is not in the data
	First   []Suspect      `json:"first,omitempty"` // three that foresail suspects, and why
}

// Suspect is a service that is suspected.
type Suspect struct {
	Service string  `json:"service"`
	Score   float64 `json:"score"`
	Why     []Why   `json:"why"`
}

// Why is one sign; z in deviations from normal.
type Why struct {
	Sign  rank.Sign `json:"sign"`
	Z     float64   `json:"z"`
	Score float64   `json:"score"`
}

// Measure lets the file's methods rank all cases.
func Measure(ctx context.Context, f File, all []Dataset, progress func(done float64, what string)) (*Result, error) {
	r := &Result{Rows: []Row{}}
	start := time.Now()
	for i, d := range all {
		for _, note := range d.Notes {
			r.Detail.Notes = append(r.Detail.Notes, d.Name+": "+note)
		}
		first := len(r.Detail.Cases)
		for _, c := range d.Cases {
			r.Detail.Cases = append(r.Detail.Cases, CaseDetail{Dataset: d.Name, Name: c.Name, Culprit: c.Culprit, Places: map[string]int{}})
		}
		for k, name := range f.Methods {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			progress(float64(i*len(f.Methods)+k)/float64(len(all)*len(f.Methods)), d.Name+", "+name)
			m, _ := rank.ByName(name) // the file was checked
			s, err := culprits.Evaluate(m, d.Cases, func() time.Duration { return time.Since(start) })
			if err != nil {
				return nil, fmt.Errorf("data set %s: %w", d.Name, err)
			}
			n := float64(len(d.Cases))
			r.Rows = append(r.Rows, Row{d.Name, name, len(d.Cases), cli.Round(s.Top(1)), cli.Round(s.Top(3)), cli.Round(s.Average(5)), cli.Round(1000 * s.Took.Seconds() / n)})
			for j, p := range s.Places {
				r.Detail.Cases[first+j].Places[name] = p
				if name == "foresail" {
					r.Detail.Cases[first+j].First = suspects(s.Lists[j])
				}
			}
		}
	}
	return r, nil
}

func suspects(list []rank.Suspect) (out []Suspect) {
	for _, s := range list[:min(3, len(list))] {
		one := Suspect{Service: s.Name, Score: cli.Round(s.Score)}
		for _, e := range s.Why {
			if e.Score >= 0.05 {
				one.Why = append(one.Why, Why{e.Sign, cli.Round(e.Z), cli.Round(e.Score)})
			}
		}
		out = append(out, one)
	}
	return out
}

var head = []string{"data set", "method", "cases", "top 1", "top 3", "avg 5", "ms a case"}

func (r *Result) print(out io.Writer) error {
	var cells [][]string
	for _, w := range r.Rows {
		cells = append(cells, []string{w.Dataset, w.Method, strconv.Itoa(w.Cases), fmt.Sprintf("%.3f", w.Top1), fmt.Sprintf("%.3f", w.Top3), fmt.Sprintf("%.3f", w.Avg5), fmt.Sprintf("%.2f", w.Ms)})
	}
	if err := cli.Table(out, head, cells); err != nil {
		return err
	}
	for _, n := range r.Detail.Notes {
		if _, err := fmt.Fprintln(out, strings.Map(cli.Printable, n)); err != nil {
			return err
		}
	}
	return nil
}
