package arch

// otel is what speaks OpenTelemetry.
var otel = []string{"go.opentelemetry.io", "google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto"}

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
	{Dir: "telemetry", Own: []string{"", "sketch"}, Why: "the assembler is fed by every source and knows none"},
	{Dir: "telemetry/otlp", Own: []string{"", "sketch", "telemetry"}, Tests: []string{"telemetry/instrument"}, Others: otel, Why: "a wire format knows the assembler and no sibling"},
	{Dir: "telemetry/readers", Own: []string{"", "telemetry"}, Others: []string{"github.com/jackc/pgx"}, Why: "a source knows the assembler and no sibling"},
	{Dir: "telemetry/jaeger", Own: []string{"", "sketch", "telemetry"}, Why: "a wire format knows the assembler and no sibling"},
	{Dir: "ml", Pure: true, Why: "ml knows model files and scores, and no learner"},
	{Dir: "ml/nn", Own: []string{"ml/nn/..."}, Others: []string{"golang.org/x/sys/cpu"}, Pure: true, Why: "learners don't know each other, nor what they are used for"},
	{Dir: "ml/gbt", Own: []string{"ml/gbt/..."}, Tests: []string{"ml"}, Pure: true, Why: "learners don't know each other, nor what they are used for"},
	{Dir: "ml/gp", Others: []string{"gonum.org/v1/gonum"}, Pure: true, Why: "learners don't know each other, nor what they are used for"},
	{Dir: "ml/calibrate", Pure: true, Why: "calibration knows scores and classes, and no learner"},
	{Dir: "plan", Own: []string{"", "sketch", "ml/...", "model/...", "plan/..."}, Pure: true, Why: "managers decide from snapshots alone, by themselves or with models"},
	{Dir: "model/forecast", Own: []string{"", "ml/...", "model/forecast/..."}, Tests: []string{"load/trace"}, Others: []string{"gonum.org/v1/gonum"}, Pure: true, Why: "what is forecast hangs on the history alone"},
	{Dir: "loop", Own: []string{""}, Why: "the loop knows the two interfaces and no implementation"},
	{Dir: "cluster/sim", Own: []string{"", "sketch", "load", "fault", "cluster/sim/..."}, Pure: true, Why: "the simulator knows nothing of managers"},
	{Dir: "cluster/testbed", Own: []string{"", "sketch", "load", "telemetry/instrument", "cluster/testbed/..."}, Others: append([]string{"golang.org/x/sys"}, otel...), Why: "the testbed reports over the wire, like any application"},
	{Dir: "compare", Own: []string{"", "sketch", "load", "appfile", "apps/random", "fault", "loop", "cluster/sim/...", "plan/..."}, Others: []string{"gonum.org/v1/gonum"}, Why: "compare runs simulations and counts what they say; it knows no page and no Kubernetes"},
	{Dir: "compare/report", Own: []string{"compare"}, Others: []string{"gonum.org/v1/plot"}, Why: "a report shows results and knows nothing of how they come about"},
	{Dir: "scenario", Own: []string{"", "sketch", "load", "fault", "appfile", "loop", "plan/...", "cluster/sim"}, Why: "scenarios play the simulator, the loop and managers to each other"},
	{Dir: "web", Own: []string{"", "sketch", "loop"}, Why: "web shows what the loop tells it, wherever the application runs"},
	{Dir: "cmd", Own: []string{"..."}, Others: []string{"..."}, Why: "wiring"},
	{Dir: "hack/ingest", Own: []string{"", "telemetry", "telemetry/otlp"}, Others: otel, Why: "a measurement outside of the program"},
	{Dir: "hack/overhead", Own: []string{"telemetry/instrument"}, Why: "a measurement outside of the program"},
	{Dir: "internal/arch", Why: "the rules depend on nothing"},
}
