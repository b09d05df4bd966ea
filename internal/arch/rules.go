package arch

// otel is what speaks OpenTelemetry.
var otel = []string{"go.opentelemetry.io", "google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto"}

// promLibraries are what speaks Prometheus.
var promLibraries = []string{"github.com/prometheus", "github.com/google/go-cmp", "google.golang.org/protobuf"}

// Rules are the rules of this tree; DESIGN's layout table in executable form.
var Rules = []Rule{
	{Dir: "", Own: []string{"sketch"}, Pure: true, Why: "the root package holds the words everything shares, so it depends on next to nothing"},
	{Dir: "sketch", Pure: true, Why: "sketch is arithmetic alone"},
	{Dir: "load", Own: []string{""}, Pure: true, Why: "load says how many requests come, for simulator and testbed alike"},
	{Dir: "fault", Own: []string{""}, Pure: true, Why: "fault says what goes wrong, and is kept from whoever must find out"},
	{Dir: "appfile", Own: []string{"", "load/...", "fault", "apps"}, Others: []string{"go.yaml.in/yaml/v3"}, Why: "appfile turns files into domain types and does nothing else"},
	{Dir: "appfile/write", Own: []string{"", "appfile", "apps"}, Others: []string{"go.yaml.in/yaml/v3"}, Why: "what appfile reads, the other way round"},
	{Dir: "apps", Tests: []string{"", "appfile", "cluster/sim", "load", "sketch"}, Why: "apps holds files"},
	{Dir: "apps/random", Own: []string{""}, Tests: []string{"appfile", "appfile/write", "cluster/sim", "load", "sketch"}, Pure: true, Why: "what is drawn is a blueprint, and hangs on its configuration alone"},
	{Dir: "access", Tests: []string{"access/accesstest"}, Others: []string{"google.golang.org/grpc"}, Why: "access knows ports and who may use them, and nothing of what goes over them"},
	{Dir: "telemetry", Own: []string{"", "sketch"}, Why: "the assembler is fed by every source and knows none"},
	{Dir: "telemetry/otlp", Own: []string{"", "sketch", "telemetry", "telemetry/source", "access"}, Tests: []string{"access/accesstest", "telemetry/instrument"}, Others: otel, Why: "a wire format knows the assembler and no sibling"},
	{Dir: "telemetry/agent", Own: []string{"", "sketch", "telemetry/agent/..."}, Tests: []string{"access", "access/accesstest"}, Others: append([]string{"github.com/mdlayher/netlink", "golang.org/x/sys"}, otel...), Why: "an agent knows its node, and of the daemon the wire"},
	{Dir: "telemetry/agent/cgroup", Others: []string{"golang.org/x/sys"}, Why: "control groups are read by the agent and by the testbed alike"},
	{Dir: "telemetry/store/seal", Own: []string{"access"}, Others: []string{"github.com/tink-crypto/tink-go", "golang.org/x/crypto", "golang.org/x/sys"}, Why: "what is sealed is bytes, whatever they mean"},
	{Dir: "telemetry/jaeger", Own: []string{"", "sketch", "telemetry", "telemetry/source"}, Why: "a wire format knows the assembler and no sibling"},
	{Dir: "telemetry/prom/export", Own: []string{"", "sketch", "loop", "telemetry", "telemetry/series"}, Tests: []string{"appfile", "cluster/sim", "load", "plan/...", "telemetry/prom/write"}, Others: append([]string{"go.yaml.in/yaml/v3"}, promLibraries...), Why: "metrics show what the loop tells, wherever the application runs"},
	{Dir: "telemetry/prom", Own: []string{"", "sketch", "appfile"}, Tests: []string{"internal/peers"}, Others: append([]string{"golang.org/x/sync"}, promLibraries...), Why: "what is read from Prometheus becomes snapshots; recipes are files, read as strictly as any"},
	{Dir: "telemetry/prom/write", Others: promLibraries, Why: "remote write carries series, and knows nothing of what they say"},
	{Dir: "telemetry/store/bucket", Own: []string{"ml"}, Others: []string{"gocloud.dev"}, Why: "a bucket keeps files and knows nothing of what is in them but that they are whole"},
	{Dir: "telemetry/source", Own: []string{"", "sketch", "telemetry", "telemetry/group"}, Others: []string{"github.com/klauspost/compress"}, Why: "what readers of outside data share knows no format"},
	{Dir: "telemetry/group", Pure: true, Why: "grouping is arithmetic on keys and times"},
	{Dir: "telemetry/zipkin", Own: []string{"", "telemetry/source", "telemetry/group"}, Why: "a wire format knows no sibling"},
	{Dir: "telemetry/nezha", Own: []string{"", "sketch", "telemetry/source", "telemetry/group"}, Why: "a wire format knows no sibling"},
	{Dir: "telemetry/petshop", Own: []string{"", "sketch", "telemetry/source"}, Why: "a wire format knows no sibling"},
	{Dir: "telemetry/alibaba", Own: []string{"", "sketch", "telemetry/source", "telemetry/group"}, Why: "a wire format knows no sibling"},
	{Dir: "telemetry/store/exemplar", Own: []string{"", "telemetry/group", "telemetry/otlp", "telemetry/source", "telemetry/store/seal"}, Others: append([]string{"github.com/klauspost/compress"}, otel...), Why: "exemplar traces are files in the OTLP format"},
	{Dir: "telemetry/series", Own: []string{"", "sketch"}, Tests: []string{"telemetry/series/seriestest"}, Others: []string{"github.com/prometheus/common/model", "github.com/prometheus/prometheus/model"}, Pure: true, Why: "series are arithmetic on snapshots, whoever stores or sends them"},
	{Dir: "telemetry/series/seriestest", Own: []string{"", "sketch"}, Others: []string{"pgregory.net/rapid"}, Pure: true, Why: "what is drawn for tests"},
	{Dir: "telemetry/store", Own: []string{"", "sketch", "telemetry/series", "telemetry/store/seal"}, Tests: []string{"telemetry/series/seriestest"}, Others: []string{"github.com/prometheus/common/model", "github.com/prometheus/prometheus", "golang.org/x/sys"}, Why: "history on disk knows what a snapshot is, and not where it came from"},
	{Dir: "ml", Pure: true, Why: "ml knows model files and scores, and no learner"},
	{Dir: "ml/nn", Own: []string{"ml/nn/..."}, Others: []string{"golang.org/x/sys/cpu"}, Pure: true, Why: "learners don't know each other, nor what they are used for"},
	{Dir: "ml/gbt", Own: []string{"ml/gbt/..."}, Tests: []string{"ml"}, Pure: true, Why: "learners don't know each other, nor what they are used for"},
	{Dir: "ml/gp", Others: []string{"gonum.org/v1/gonum"}, Pure: true, Why: "learners don't know each other, nor what they are used for"},
	{Dir: "ml/calibrate", Pure: true, Why: "calibration knows scores and classes, and no learner"},
	{Dir: "plan", Own: []string{"", "sketch", "ml/...", "model/...", "plan/..."}, Pure: true, Why: "managers decide from snapshots alone, by themselves or with models"},
	{Dir: "model/forecast", Own: []string{"", "ml/...", "model/forecast/..."}, Tests: []string{"load/trace"}, Others: []string{"gonum.org/v1/gonum"}, Pure: true, Why: "what is forecast hangs on the history alone"},
	{Dir: "loop", Own: []string{""}, Why: "the loop knows the two interfaces and no implementation"},
	{Dir: "cluster/sim", Own: []string{"", "sketch", "load", "fault", "cluster/sim/..."}, Pure: true, Why: "the simulator knows nothing of managers"},
	{Dir: "cluster/testbed", Own: []string{"", "sketch", "load", "telemetry/instrument", "telemetry/agent/cgroup", "cluster/testbed/..."}, Others: append([]string{"golang.org/x/sys", "github.com/prometheus/client_golang"}, otel...), Why: "the testbed reports over the wire, like any application"},
	{Dir: "compare", Own: []string{"", "sketch", "load", "appfile", "apps/random", "fault", "loop", "cluster/sim/...", "plan/..."}, Others: []string{"gonum.org/v1/gonum"}, Why: "compare runs simulations and counts what they say; it knows no page and no Kubernetes"},
	{Dir: "compare/report", Own: []string{"compare"}, Others: []string{"gonum.org/v1/plot"}, Why: "a report shows results and knows nothing of how they come about"},
	{Dir: "scenario", Own: []string{"", "sketch", "load", "fault", "appfile", "loop", "plan/...", "cluster/sim"}, Why: "scenarios play the simulator, the loop and managers to each other"},
	{Dir: "web", Own: []string{"", "sketch", "loop", "access"}, Tests: []string{"access/accesstest"}, Why: "web shows what the loop tells it, wherever the application runs"},
	{Dir: "cmd", Own: []string{"..."}, Others: []string{"..."}, Why: "wiring"},
	{Dir: "internal/peers", Why: "peers are other people's programs, started as anybody would"},
	{Dir: "hack/fleet", Own: []string{"load"}, Why: "what measurements are made on is drawn by the same generators that simulations use"},
	{Dir: "internal/arch", Why: "the rules depend on nothing"},
}
