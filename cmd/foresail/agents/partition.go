package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/agent/partition"
)

// shares is a file of shares; each has one of the kinds.
type shares struct {
	Shares []struct {
		Cache   *partition.CacheShare   `json:"cache"`
		Network *partition.NetworkShare `json:"network"`
		Memory  *partition.MemoryLimit  `json:"memory"`
	} `json:"shares"`
}

// readShares reads a file of shares; every one that is none is told.
func readShares(path string) ([]partition.Share, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var s shares
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%s: no shares: %w; see docs/formats/agent.md", path, err)
	}
	var out []partition.Share
	var errs []error
	for i, x := range s.Shares {
		n := len(out)
		if x.Cache != nil {
			out = append(out, *x.Cache)
		}
		if x.Network != nil {
			out = append(out, *x.Network)
		}
		if x.Memory != nil {
			out = append(out, *x.Memory)
		}
		if len(out) != n+1 {
			errs = append(errs, fmt.Errorf("%s: shares[%d]: has %d kinds: give it one of cache, network and memory", path, i, len(out)-n))
		}
	}
	if len(s.Shares) == 0 {
		errs = append(errs, fmt.Errorf("%s: it has no shares", path))
	}
	return out, errors.Join(errs...)
}

func newPartition(node CLI) *cobra.Command {
	var file, list string
	var life time.Duration
	c := &cobra.Command{
		Use:   "partition -f AGENT.yaml --shares SHARES.json",
		Short: "Gives shares of this node's cache, network or memory to somebody, and takes them back when it ends",
		Long: `Makes the shares of a file so, for as long as it runs: ways of the last-level cache (resctrl), the bandwidth of a device (HTB), a
control group's memory. Nothing is divided that the agent's file does not allow. What was there before is written down first;
when this ends, however it ends, it is brought back: at once, or where this was killed, when it or 'foresail agent' starts again.`,
		Example: "  foresail agent partition -f agent.yaml --shares shares.json --for 10m",
		Args:    cli.Needs("file", "shares"),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := readFile(file)
			if err != nil {
				return err
			}
			all, err := readShares(list)
			if err != nil {
				return cli.Usage(err)
			}
			ctx, stop := node.Stoppable(c.Context())
			defer stop()
			if life > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, life)
				defer cancel()
			}
			return divide(ctx, c.ErrOrStderr(), &f, all)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "the agent's file, which says what is allowed (docs/formats/agent.md)")
	c.Flags().StringVar(&list, "shares", "", "file of shares (JSON)")
	c.Flags().DurationVar(&life, "for", 0, "take them back after this time; 0: when stopped")
	return c
}

// divide makes shares so until ctx ends.
func divide(ctx context.Context, w io.Writer, f *File, all []partition.Share) (err error) {
	k, err := recovered(w, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.UndoAll(), k.Close()) }()
	for _, s := range all {
		if _, err := k.Apply(f.mayPartition(), s); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: done\n", s)
	}
	<-ctx.Done()
	fmt.Fprintf(w, "%d shares are taken back\n", len(all))
	return nil
}

// recovered opens the undo records, and takes back what an earlier run has left.
func recovered(w io.Writer, f *File) (*partition.Keeper, error) {
	k, err := partition.Open(f.Partitions.Undo)
	if err != nil {
		return nil, err
	}
	undone, err := k.Recover()
	for _, s := range undone {
		fmt.Fprintf(w, "%s: left by an earlier run, and taken back\n", s)
	}
	if err != nil && !errors.Is(err, partition.ErrChanged) {
		return nil, errors.Join(err, k.Close())
	}
	if err != nil {
		fmt.Fprintln(w, err)
	}
	return k, nil
}
