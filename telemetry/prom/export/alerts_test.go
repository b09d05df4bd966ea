package export_test

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// healthy is two hours of an application that is well, in promqltest's notation: a value, what it grows by, how often.
var healthy = map[string]string{
	`foresail_build_info{version="v1"}`:                                                  "1x240",
	`foresail_manager_info{application="shop", manager="guard(hpa)", mode="auto"}`:       "1x240",
	`foresail_objective_percentile{application="shop", endpoint="buy"}`:                  "99x240",
	`foresail_objective_windows_total{application="shop", endpoint="buy"}`:               "0+30x240",
	`foresail_objective_violations_total{application="shop", endpoint="buy"}`:            "0x240",
	`foresail_endpoint_requests_total{application="shop", endpoint="buy"}`:               "0+3000x240",
	`foresail_endpoint_late_total{application="shop", endpoint="buy"}`:                   "0+3x240",
	`foresail_application_last_snapshot_timestamp_seconds{application="shop"}`:           "0+30x240",
	`foresail_stale{application="shop"}`:                                                 "0x240",
	`foresail_decisions_total{application="shop", outcome="kept"}`:                       "0+2x240",
	`foresail_decisions_total{application="shop", outcome="failed"}`:                     "0x240",
	`foresail_fallback_active{application="shop"}`:                                       "0x240",
	`foresail_decision_errors_total{application="shop"}`:                                 "0x240",
	`foresail_apply_errors_total{application="shop", service="cart"}`:                    "0x240",
	`foresail_plan_bounds_total{application="shop", bound="max replicas"}`:               "3x240",
	`foresail_plan_bounds_total{application="shop", bound="min replicas"}`:               "0+1x240",
	`foresail_spans_total{outcome="assembled"}`:                                          "0+30000x240",
	`foresail_spans_total{outcome="dropped"}`:                                            "0+30x240",
	`foresail_spans_dropped_total{reason="too_late"}`:                                    "0+30x240",
	`foresail_history_lost_snapshots_total{history="disk", reason="dropped"}`:            "0x240",
	`foresail_metrics_folded_series{family="foresail_edge_calls_total"}`:                 "0x240",
	`foresail_remote_write_samples_total{target="http://mimir/push", outcome="sent"}`:    "0+900x240",
	`foresail_remote_write_samples_total{target="http://mimir/push", outcome="refused"}`: "0x240",
}

// Of each alert, what is different when it should fire; nothing else may fire then.
var unwell = map[string]map[string]string{
	"ForesailObjectiveBurning": {`foresail_endpoint_late_total{application="shop", endpoint="buy"}`: "0+600x240"},
	"ForesailObjectiveMissed":  {`foresail_objective_violations_total{application="shop", endpoint="buy"}`: "0+8x240"},
	"ForesailAbsent":           {`foresail_build_info{version="v1"}`: ""},
	"ForesailBlind":            {`foresail_application_last_snapshot_timestamp_seconds{application="shop"}`: "0+30x100 3000x140"},
	"ForesailUndecided":        {`foresail_decisions_total{application="shop", outcome="kept"}`: "0+2x100 200x140"},
	"ForesailFallback":         {`foresail_fallback_active{application="shop"}`: "0x100 1x140"},
	"ForesailDecisionErrors":   {`foresail_decision_errors_total{application="shop"}`: "0x100 0+1x140"},
	"ForesailApplyErrors":      {`foresail_apply_errors_total{application="shop", service="cart"}`: "0x100 0+1x140"},
	"ForesailAtMaximum":        {`foresail_plan_bounds_total{application="shop", bound="max replicas"}`: "0+1x240"},
	"ForesailSpansDropped":     {`foresail_spans_dropped_total{reason="too_late"}`: "0+3000x240"},
	"ForesailMetricsFolded":    {`foresail_metrics_folded_series{family="foresail_edge_calls_total"}`: "0x100 17x140"},
	"ForesailHistoryLosing":    {`foresail_history_lost_snapshots_total{history="disk", reason="dropped"}`: "0x100 0+1x140"},
	"ForesailRemoteWriteLosing": {
		`foresail_remote_write_samples_total{target="http://mimir/push", outcome="refused"}`: "0x100 0+9x140"},
}

// firing are the alerts that fire two hours after the series begin, which are healthy but for some.
func firing(t *testing.T, alerts []rulefmt.Rule, but map[string]string) (out []string) {
	t.Helper()
	script := "load 30s\n"
	for s, values := range healthy {
		if v, ok := but[s]; ok {
			values = v
		}
		if values != "" {
			script += "  " + s + " " + values + "\n"
		}
	}
	db := promqltest.LoadedStorage(t, script)
	defer db.Close()
	e := engine()
	for _, a := range alerts {
		since := map[string]time.Time{} // by labels, while the expression holds
		end := time.Unix(7200, 0)
		for at := end.Add(-40 * time.Minute); !at.After(end); at = at.Add(time.Minute) {
			holds := map[string]time.Time{}
			for _, x := range instant(t, e, db, a.Expr, at) {
				l := x.Metric.String()
				holds[l] = at
				if before, ok := since[l]; ok {
					holds[l] = before
				}
			}
			since = holds
		}
		for _, from := range since {
			if end.Sub(from) >= time.Duration(a.For) {
				out = append(out, a.Alert)
			}
		}
	}
	return out
}

func instant(t *testing.T, e *promql.Engine, db storage.Queryable, expr string, at time.Time) promql.Vector {
	t.Helper()
	q, err := e.NewInstantQuery(t.Context(), db, nil, expr, at)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	v, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(v)
}

// Nothing fires while all is well; each alert fires when what it is about goes wrong, and then alone.
func TestAlerts(t *testing.T) {
	alerts := ruleFile(t, "alerts.yaml")
	if got := firing(t, alerts, nil); len(got) > 0 {
		t.Errorf("all is well, and these fire: %v", got)
	}
	for _, a := range alerts {
		if a.Annotations["summary"] == "" || a.Labels["severity"] == "" {
			t.Errorf("%s has no summary or no severity", a.Alert)
		}
		but, ok := unwell[a.Alert]
		if !ok {
			t.Errorf("no test makes %s fire", a.Alert)
			continue
		}
		for s := range but {
			if _, ok := healthy[s]; !ok {
				t.Fatalf("%s is not among the healthy series", s)
			}
		}
		if got := firing(t, alerts, but); !slices.Equal(got, []string{a.Alert}) {
			t.Errorf("%s should fire; these do: %v", a.Alert, got)
		}
	}
}
