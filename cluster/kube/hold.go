package kube

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"foresail.dev/cluster/kube/v1alpha1"
)

// Held says for each workload of an Application why it is not changed at a time; empty: it may be. A mode goes no further than
// the application's, a pause and a freeze window hold everything.
func Held(a *v1alpha1.Application, now time.Time) ([]string, error) {
	out := make([]string, len(a.Spec.Workloads))
	frozen, err := Frozen(a.Spec.FreezeWindows, now)
	for i := range out {
		w := &a.Spec.Workloads[i]
		mode := a.Spec.Mode
		if mode == "" {
			mode = v1alpha1.Observe
		}
		own := ""
		if rank(w.Mode) >= 0 && rank(w.Mode) < rank(mode) {
			mode, own = w.Mode, "its own "
		}
		switch {
		case mode != v1alpha1.Auto:
			out[i] = own + "mode is " + string(mode)
		case a.Spec.Paused:
			out[i] = "the application is paused"
		case frozen != "":
			out[i] = frozen
		case err != nil:
			out[i] = err.Error() // a window that can't be read may be now
		}
	}
	return out, err
}

func rank(m v1alpha1.Mode) int {
	switch m {
	case v1alpha1.Observe:
		return 0
	case v1alpha1.Recommend:
		return 1
	case v1alpha1.Auto:
		return 2
	}
	return -1
}

// Frozen is the reason of the first freeze window that a time lies in; empty: it lies in none.
func Frozen(windows []v1alpha1.FreezeWindow, now time.Time) (string, error) {
	var faults error
	for i := range windows {
		w := &windows[i]
		var until time.Time
		switch {
		case w.From != nil && w.To != nil:
			if !now.Before(w.From.Time) && now.Before(w.To.Time) {
				until = w.To.Time
			}
		case w.Schedule != "" && w.Duration != nil:
			zone := time.UTC
			if w.TimeZone != "" {
				z, err := time.LoadLocation(w.TimeZone)
				if err != nil {
					faults = fmt.Errorf("freezeWindows[%d]: time zone %q is not known", i, w.TimeZone)
					continue
				}
				zone = z
			}
			s, err := cron.ParseStandard(w.Schedule)
			if err != nil {
				faults = fmt.Errorf("freezeWindows[%d]: schedule: %w", i, err)
				continue
			}
			// The last start that could still hold: the first after one length ago.
			if began := s.Next(now.In(zone).Add(-w.Duration.Duration)); !began.IsZero() && !began.After(now) {
				until = began.Add(w.Duration.Duration)
			}
		default:
			faults = fmt.Errorf("freezeWindows[%d]: give from and to, or schedule and duration", i)
		}
		if !until.IsZero() {
			what := "a freeze window"
			if w.Reason != "" {
				what += " (" + w.Reason + ")"
			}
			return what + " until " + until.UTC().Format(time.RFC3339), nil
		}
	}
	return "", faults
}
