package web

import (
	"foresail.dev"
)

// The objects of the API. Field names carry their unit.

type appView struct {
	Schema     string         `json:"schema"`
	Name       string         `json:"name"`
	Generation int            `json:"generation"`
	Services   []serviceView  `json:"services"`
	Endpoints  []endpointView `json:"endpoints"`
}

type serviceView struct {
	Name    string              `json:"name"`
	Initial foresail.Allocation `json:"initial"`
	Bounds  boundsView          `json:"bounds"`
}

type boundsView struct {
	MinReplicas int     `json:"min_replicas"`
	MaxReplicas int     `json:"max_replicas"`
	MinCPU      float64 `json:"min_cpu"`
	MaxCPU      float64 `json:"max_cpu"`
}

type endpointView struct {
	Name      string             `json:"name"`
	Entry     foresail.ServiceID `json:"entry"`
	Operation string             `json:"operation,omitempty"`
	Objective *objectiveView     `json:"objective,omitempty"`
}

type objectiveView struct {
	Percentile  float64 `json:"percentile"`
	LatencyMS   float64 `json:"latency_ms"`
	WindowS     float64 `json:"window_s"`
	MinRequests int     `json:"min_requests"`
}

// update is what changed since another update, with everything that is true now.
type update struct {
	Seq       uint64        `json:"seq"`
	Mode      string        `json:"mode,omitempty"`
	Manager   string        `json:"manager,omitempty"`
	At        int64         `json:"at,omitempty"`         // end of the newest second; absent before the first
	Stale     bool          `json:"stale,omitempty"`      // nothing was observed in it, though it should have been
	SilentS   value         `json:"silent_s,omitzero"`    // how long nothing has been observed, when stale
	Dropped   float64       `json:"dropped,omitempty"`    // observations lost on the way, since the start
	Fallback  string        `json:"fallback,omitempty"`   // why another manager decides now
	Error     string        `json:"error,omitempty"`      // of the newest decision
	DecidedAt int64         `json:"decided_at,omitempty"` // the newest decision, changes or not
	Decided   int           `json:"decided"`              // decisions since the start
	Services  []serviceNow  `json:"services,omitempty"`
	Endpoints []endpointNow `json:"endpoints,omitempty"`
	Edges     []edgeNow     `json:"edges,omitempty"`
	Totals    *totalsNow    `json:"totals,omitempty"`
	Points    []*point      `json:"points,omitempty"`    // new seconds, oldest first
	Decisions []*decision   `json:"decisions,omitempty"` // new or changed, oldest first
	Why       []*why        `json:"why,omitempty"`       // new reasons for what a service has
	Outlook   *outlookView  `json:"outlook,omitempty"`   // where the manager predicts latency
	Load      *LoadState    `json:"load,omitempty"`
}

// outlookView is what the manager expects of users' latency under what it decided. It is not changed once it is handed out.
type outlookView struct {
	At         int64 `json:"at"` // of the decision
	Percentile value `json:"percentile,omitzero"`
	Latency    value `json:"latency_ms,omitzero"` // absent where no model was asked, as below
	Limit      value `json:"limit_ms,omitzero"`   // under which it counts as safe
	Violation  value `json:"violation,omitzero"`  // probability, 0..1
	Trusted    bool  `json:"trusted"`
	Scored     int   `json:"scored"` // of the newest predictions, those held against what happened
	Missed     int   `json:"missed"` // of those, violations that had been predicted safe
}

func viewOutlook(o *foresail.Outlook, at int64) *outlookView {
	v := &outlookView{At: at, Percentile: absent, Latency: absent, Limit: absent, Violation: absent, Trusted: o.Trusted, Scored: o.Scored, Missed: o.Missed}
	if o.Known {
		v.Percentile, v.Latency, v.Limit, v.Violation = value(o.Percentile), millis(o.Latency), millis(o.Limit), value(o.Violation)
	}
	return v
}

// stateView is an update since nothing, with what does not change.
type stateView struct {
	Schema   string   `json:"schema"`
	Instance string   `json:"instance"` // another after a restart: numbers start over
	Title    string   `json:"title"`
	Every    float64  `json:"every_s"`          // least time between updates
	Recent   float64  `json:"recent_s"`         // what "now" averages over
	Keep     float64  `json:"keep_s"`           // how far back points reach
	Beside   string   `json:"beside,omitempty"` // what the run is called whose latency and cores are drawn beside
	App      *appView `json:"app"`
	Now      *update  `json:"now"`
}

type serviceNow struct {
	Calls       value                `json:"calls_s,omitzero"`
	Errors      value                `json:"errors_s,omitzero"`
	P50         value                `json:"p50_ms,omitzero"`
	P99         value                `json:"p99_ms,omitzero"`
	InFlight    value                `json:"in_flight,omitzero"`
	Used        value                `json:"cores_used,omitzero"`
	Allocated   value                `json:"cores_allocated,omitzero"`
	Utilisation value                `json:"utilisation,omitzero"` // used over allocated, 0..1
	Throttled   value                `json:"throttled,omitzero"`   // share of replica time spent throttled, 0..1
	Memory      value                `json:"memory,omitzero"`
	Ready       value                `json:"ready,omitzero"`
	Allocation  *foresail.Allocation `json:"allocation,omitempty"`
	Pending     *foresail.Allocation `json:"pending,omitempty"`
}

type endpointNow struct {
	Rate        value  `json:"requests_s,omitzero"`
	Errors      value  `json:"errors_s,omitzero"`
	P50         value  `json:"p50_ms,omitzero"`
	P95         value  `json:"p95_ms,omitzero"`
	P99         value  `json:"p99_ms,omitzero"`
	AtObjective value  `json:"at_objective_ms,omitzero"` // latency at the objective's percentile
	Status      string `json:"status"`                   // met, violated, waiting (nothing judged yet) or none (no objective)
	Windows     int    `json:"windows"`                  // judged since the start
	Violated    int    `json:"violated"`                 // of those
	Share       value  `json:"violation_share,omitzero"`
	Budget      value  `json:"budget_left,omitzero"` // 1: untouched; 0: used up; negative: overdrawn
	Episodes    int    `json:"episodes"`
	Since       int64  `json:"violated_since,omitempty"`
}

type edgeNow struct {
	From   foresail.ServiceID `json:"from"`
	To     foresail.ServiceID `json:"to"`
	Calls  value              `json:"calls_s,omitzero"`
	Errors value              `json:"errors_s,omitzero"`
	P99    value              `json:"p99_ms,omitzero"`
}

type totalsNow struct {
	Allocated     value `json:"cores_allocated,omitzero"`
	Used          value `json:"cores_used,omitzero"`
	File          value `json:"cores_file,omitzero"`           // what the application file asks for
	MeanAllocated value `json:"cores_allocated_mean,omitzero"` // since the start
	MeanUsed      value `json:"cores_used_mean,omitzero"`
	MeanOverS     value `json:"mean_over_s,omitzero"` // how long the means cover
	Ready         value `json:"ready,omitzero"`
	Wanted        value `json:"wanted,omitzero"`
	Rate          value `json:"requests_s,omitzero"`
}

// point is one second of the charts.
type point struct {
	T         int64           `json:"t"` // its end
	Allocated value           `json:"cores_allocated,omitzero"`
	Used      value           `json:"cores_used,omitzero"`
	Ready     value           `json:"ready,omitzero"`
	Endpoints []endpointPoint `json:"endpoints,omitempty"`
	Beside    *besidePoint    `json:"beside,omitempty"` // the same second of the run beside
	seq       uint64
}

type endpointPoint struct {
	Rate     value `json:"r,omitzero"`   // requests/s
	P50      value `json:"p50,omitzero"` // ms
	P95      value `json:"p95,omitzero"`
	P99      value `json:"p99,omitzero"`
	Violated bool  `json:"v,omitempty"` // a window that ended in this second is in violation
}

// decision is one that changed something, failed, or began or ended a fallback.
type decision struct {
	ID       int          `json:"id"`
	At       int64        `json:"at"`
	Last     int64        `json:"last,omitempty"`     // when it was repeated last
	Repeated int          `json:"repeated,omitempty"` // how often the same was decided again
	Mode     string       `json:"mode"`
	Manager  string       `json:"manager,omitempty"`
	Applied  bool         `json:"applied"`
	Took     value        `json:"took_ms,omitzero"`
	Error    string       `json:"error,omitempty"`
	Note     string       `json:"note,omitempty"`
	Fallback string       `json:"fallback,omitempty"`
	Ended    string       `json:"fallback_ended,omitempty"` // the fallback that this decision ended
	Alarms   []alarmView  `json:"alarms,omitempty"`         // dangers that were foreseen just then
	Changes  []changeView `json:"changes"`                  // the largest first, by cores
	More     int          `json:"more,omitempty"`           // changes beyond the ones listed
	Held     int          `json:"held,omitempty"`           // services that were weighed and keep what they have
	seq      uint64
}

type alarmView struct {
	Service foresail.ServiceID `json:"service"` // where the violation is expected to start
	Text    string             `json:"text"`
}

type changeView struct {
	Service foresail.ServiceID   `json:"service"`
	From    *foresail.Allocation `json:"from,omitempty"`
	To      foresail.Allocation  `json:"to"`
	Reason  foresail.Reason      `json:"reason"`
}

// why is the newest reason given for what a service has.
type why struct {
	Service foresail.ServiceID `json:"service"`
	At      int64              `json:"at"`
	Held    bool               `json:"held,omitempty"` // it keeps what it has
	Reason  foresail.Reason    `json:"reason"`
	seq     uint64
}

func viewApp(a *foresail.App) *appView {
	v := &appView{Schema: "foresail.dev/app/v1", Name: a.Name, Generation: a.Generation,
		Services: make([]serviceView, len(a.Services)), Endpoints: make([]endpointView, len(a.Endpoints))}
	for i, s := range a.Services {
		v.Services[i] = serviceView{s.Name, s.Initial, boundsView{s.Bounds.MinReplicas, s.Bounds.MaxReplicas, s.Bounds.MinCPU, s.Bounds.MaxCPU}}
	}
	for i, e := range a.Endpoints {
		v.Endpoints[i] = endpointView{Name: e.Name, Entry: e.Entry, Operation: e.Operation}
		if o := e.Objective; o != nil {
			v.Endpoints[i].Objective = &objectiveView{o.Percentile, o.Latency.Seconds() * 1000, o.WindowOrDefault().Seconds(), o.MinRequestsOrDefault()}
		}
	}
	return v
}
