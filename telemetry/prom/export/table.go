package export

import (
	"slices"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"

	"foresail.dev/telemetry/series"
)

// Family is one name on /metrics.
type Family struct {
	Name   string
	Help   string
	Kind   series.Kind
	Unit   string   // empty: a plain number
	Labels []string // sorted
}

// Other is the label value that stands for whatever is beyond a limit.
const Other = "other"

const (
	counter       = series.Counter
	gauge         = series.Gauge
	histogramKind = series.NativeHistogram
)

// decided are the families of what Foresail was asked for, decides and expects; they have the label application besides.
var decided = []Family{
	{"foresail_manager_info", "1 for the manager that decides and the mode it decides in.", gauge, "", []string{"manager", "mode"}},
	{"foresail_application_held_cores", "Cores that replicas hold, those that start or drain included.", gauge, "cores", nil},
	{"foresail_application_used_cores", "Cores in use, mean over the last interval.", gauge, "cores", nil},
	{"foresail_application_last_snapshot_timestamp_seconds", "End of the newest interval observed, in seconds since 1970.", gauge, "seconds", nil},

	{"foresail_objective_latency_seconds", "Latency that the objective's percentile stays under.", gauge, "seconds", []string{"endpoint"}},
	{"foresail_objective_percentile", "Percentile that the objective is about, 0 to 100.", gauge, "", []string{"endpoint"}},
	{"foresail_objective_window_seconds", "Length of the windows that the objective is judged over.", gauge, "seconds", []string{"endpoint"}},
	{"foresail_objective_windows_total", "Windows judged.", counter, "", []string{"endpoint"}},
	{"foresail_objective_violations_total", "Windows in which the objective was missed.", counter, "", []string{"endpoint"}},
	{"foresail_objective_episodes_total", "Stretches of missed windows that began.", counter, "", []string{"endpoint"}},
	{"foresail_objective_violated", "1 where the newest window judged missed the objective.", gauge, "", []string{"endpoint"}},
	{"foresail_objective_budget_left_ratio", "Share of the error budget left since the start; negative beyond it.", gauge, "", []string{"endpoint"}},

	{"foresail_plan_replicas", "Replicas that the newest plan for the service asks for.", gauge, "replicas", []string{"service"}},
	{"foresail_plan_cpu_cores", "CPU of each replica that the newest plan for the service asks for.", gauge, "cores", []string{"service"}},
	{"foresail_plan_memory_bytes", "Memory of each replica that the newest plan for the service asks for, where it is managed.", gauge, "bytes", []string{"service"}},
	{"foresail_plan_timestamp_seconds", "When the newest plan was made, in seconds since 1970.", gauge, "seconds", nil},
	{"foresail_plan_changes_total", "Changes that were applied and ask for something else than was in effect.", counter, "", []string{"service"}},
	{"foresail_alarms_total", "Violations that were foreseen to start at the service.", counter, "", []string{"service"}},
	{"foresail_plan_reasons_total", "Services in plans, by the rule that decided on them.", counter, "", []string{"rule"}},
	{"foresail_plan_bounds_total", "Services in plans whose allocation a bound limited, by bound.", counter, "", []string{"bound"}},
	{"foresail_decisions_total", "Decisions: changed, kept (nothing was to change, or nothing may be), failed.", counter, "", []string{"outcome"}},
	{"foresail_decision_errors_total", "Decisions in which the manager failed.", counter, "", nil},
	{"foresail_apply_errors_total", "Changes that the cluster refused, by service; all where it refused the plan as a whole.", counter, "", []string{"service"}},
	{"foresail_decision_duration_seconds", "Time that the manager took to decide.", histogramKind, "seconds", nil},
	{"foresail_fallback_active", "1 while another manager than the one asked decides.", gauge, "", nil},
	{"foresail_fallbacks_total", "How often another manager than the one asked took over.", counter, "", nil},

	{"foresail_forecast_arrivals_per_second", "Requests a second that the manager expects in the interval ahead, mean.", gauge, "", []string{"service"}},
	{"foresail_forecast_arrivals_per_second_quantile", "Requests a second that the manager expects not to be exceeded with probability quantile.", gauge, "", []string{"quantile", "service"}},
	{"foresail_forecast_timestamp_seconds", "Start of the interval that the forecast is for, in seconds since 1970.", gauge, "seconds", []string{"service"}},
}

// health are the families of Foresail itself; they are not of an application.
var health = []Family{
	{"foresail_build_info", "1 for the version that runs.", gauge, "", []string{"go_version", "version"}},
	{"foresail_spans_total", "Spans received, by what became of them.", counter, "", []string{"outcome"}},
	{"foresail_spans_dropped_total", "Spans that don't count, by reason.", counter, "", []string{"reason"}},
	{"foresail_spans_waiting", "Spans that wait for their parent.", gauge, "", nil},
	{"foresail_calls_lost_total", "Calls whose caller stayed unknown, came too late or was one pair too many.", counter, "", nil},
	{"foresail_receiver_requests_total", "Requests to the receiver of spans, by what became of them.", counter, "", []string{"outcome"}},
	{"foresail_receiver_bytes_total", "Bytes of the requests taken by the receiver of spans, decompressed.", counter, "bytes", nil},
	{"foresail_ingesters", "Ingesters that report, and that should and are silent.", gauge, "", []string{"state"}},
	{"foresail_ingest_parts_total", "Parts that ingesters sent, by what became of them; late ones count as taken too.", counter, "", []string{"outcome"}},
	{"foresail_ingest_incomplete_snapshots_total", "Snapshots that an ingester had not told its part of when they were cut.", counter, "", nil},
	{"foresail_ingest_requests_lost_total", "Requests that ingesters took in and gave up: too old (lost), or perhaps counted by another life of the daemon (unsure).", counter, "", []string{"reason"}},
	{"foresail_metrics_folded_series", "Series that are counted under other, since their family is at its limit.", gauge, "", []string{"family"}},
	{"foresail_metrics_skipped_snapshots_total", "Snapshots that /metrics could not take in.", counter, "", nil},
	{"foresail_history_lost_snapshots_total", "Snapshots that a history does not have: refused by it, or dropped since it was slow.", counter, "", []string{"history", "reason"}},
	{"foresail_model_drift", "Ways in which the model that decides no longer fits, by kind; see docs/formats/run.md.", gauge, "", []string{"kind"}},
	{"foresail_outlet_messages_total", "Messages to outlets of alarms, by what became of them; retried counts tries.", counter, "", []string{"outlet", "outcome"}},
	{"foresail_model_attempts_total", "Attempts to fine-tune the model, by what became of them.", counter, "", []string{"outcome"}},
	{"foresail_model_training", "1 while a model is fine-tuned.", gauge, "", nil},
	{"foresail_model_skipped_seconds_total", "Seconds that the model was not watched in, since it was slower than the run.", counter, "", nil},
	{"foresail_remote_write_samples_total", "Samples for remote write, by what became of them.", counter, "", []string{"outcome", "target"}},
	{"foresail_remote_write_retries_total", "Requests of remote write that were sent once more.", counter, "", []string{"target"}},
	{"foresail_remote_write_requests_total", "Requests of remote write that were answered well.", counter, "", []string{"target"}},
	{"foresail_remote_write_queue_bytes", "Bytes that wait to be sent by remote write, estimated.", gauge, "bytes", []string{"target"}},
}

// Families lists every family that /metrics can have, but for those of the Go runtime and the process (go_*, process_*).
func Families() []Family {
	var out []Family
	for _, d := range series.Table() {
		if !d.Bookkeeping {
			out = append(out, Family{Name: d.Name, Help: d.Help, Kind: d.Kind, Unit: d.Unit, Labels: d.Labels()})
		}
	}
	for _, f := range decided {
		f.Labels = slices.Sorted(slices.Values(append([]string{"application"}, f.Labels...)))
		out = append(out, f)
	}
	return append(out, health...)
}

// Meta is what remote write says of a family: type, help and unit; nothing of one that is not Foresail's own.
func Meta(name string) metadata.Metadata {
	return metas()[name]
}

var metas = sync.OnceValue(func() map[string]metadata.Metadata {
	out := map[string]metadata.Metadata{}
	for _, f := range Families() {
		out[f.Name] = metadata.Metadata{Type: model.MetricType(f.Kind.String()), Help: f.Help, Unit: f.Unit}
	}
	return out
})
