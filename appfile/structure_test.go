package appfile

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"foresail.dev"
)

const shared = "../../shared/data/"

// opened is a file of the data from outside, which is no part of the project.
func opened(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(shared + path)
	if err != nil {
		t.Skipf("no data from outside at ../shared/data/%s", path)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func gunzipped(t *testing.T, path string) *gzip.Reader {
	t.Helper()
	z, err := gzip.NewReader(opened(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func rows(t *testing.T, r *csv.Reader) (out []map[string]string) {
	t.Helper()
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = rec[i]
		}
		out = append(out, row)
	}
	return out
}

// arc is a call from an operation of one service to an operation of another; "" stands for any operation.
type arc struct{ from, fromOp, to, toOp string }

// arcs are all calls of an application, each also with any operation in the caller's place.
func arcs(t *testing.T, name string) map[arc]bool {
	t.Helper()
	bp, err := ReadApp(name)
	if err != nil {
		t.Fatal(err)
	}
	out := map[arc]bool{}
	for s := range bp.Services {
		for _, op := range bp.Services[s].Operations {
			eachCall(op.Steps, 1, func(c *foresail.Call, _ float64) {
				to := bp.Services[c.Target.Service].Operations[c.Target.Operation].Name
				from := bp.App.Services[s].Name
				out[arc{from, op.Name, bp.App.Services[c.Target.Service].Name, to}] = true
				out[arc{from, "", bp.App.Services[c.Target.Service].Name, to}] = true
			})
		}
	}
	return out
}

// last is what follows the last slash of an RPC's name.
func last(name string) string { return name[strings.LastIndex(name, "/")+1:] }

// Every call between services in the call trees of Hotel Reservation is in the application, to the same operation.
func TestHotelHasTheCallTrees(t *testing.T) {
	got, n := arcs(t, "hotel-reservation"), 0
	entry := map[string]string{"Search": "search", "Recommendation": "recommend"}
	for _, r := range rows(t, csv.NewReader(opened(t, "erms/span-relationships-hotel-reserv.csv"))) {
		if r["parentMS"] == r["childMS"] {
			continue // the caller's side of the same call
		}
		fromOp := ""
		if r["parentMS"] == "frontend" {
			fromOp = entry[r["service"]]
		}
		a := arc{r["parentMS"], fromOp, r["childMS"], last(r["childOperation"])}
		if n++; !got[a] {
			t.Errorf("%+v is not in the application", a)
		}
	}
	if n != 7 {
		t.Errorf("%d calls in the source, 7 were there", n)
	}
}

// Every call of the read endpoints in the call trees of Social Network is in the application. Their compose endpoint is
// an older version than the traces', in which services sent parts of a post on to compose-post: of it the application
// has the fan-out service and what that calls.
func TestSocialNetworkHasTheCallTrees(t *testing.T) {
	got, n := arcs(t, "social-network"), 0
	backends := map[string]string{ // spans of a caller that name what is behind it
		"post-storage-service/MemcachedMget":          "post-storage-memcached",
		"post-storage-service/MongoFindPosts":         "post-storage-mongodb",
		"post-storage-service/MmcSetPost":             "post-storage-memcached",
		"post-storage-service/MongoInsertPost":        "post-storage-mongodb",
		"user-timeline-service/RedisFind":             "user-timeline-redis",
		"user-timeline-service/RedisUpdate":           "user-timeline-redis",
		"user-timeline-service/MongoFindUserTimeline": "user-timeline-mongodb",
		"user-timeline-service/MongoInsert":           "user-timeline-mongodb",
		"home-timeline-service/RedisFind":             "home-timeline-redis",
		"write-home-timeline-service/RedisUpdate":     "home-timeline-redis",
		"social-graph-service/RedisGet":               "social-graph-redis",
		"social-graph-service/MongoFindUser":          "social-graph-mongodb",
		"compose-post-service/RedisHashSet":           "compose-post-redis",
	}
	services := func(from, to string) bool {
		for a := range got {
			if a.from == from && a.to == to {
				return true
			}
		}
		return false
	}
	for _, r := range rows(t, csv.NewReader(opened(t, "erms/span-relationships-social-network.csv"))) {
		from, to := r["parentMS"], r["childMS"]
		if from == to {
			behind := backends[to+"/"+r["childOperation"]]
			if behind != "" {
				if n++; !services(to, behind) {
					t.Errorf("%s does not call %s (%s)", to, behind, r["childOperation"])
				}
			} else if to != "nginx-web-server" {
				t.Errorf("no service is named for %s in %s", r["childOperation"], to)
			}
			continue
		}
		older := r["service"] == "ComposePost" && (to == "compose-post-service" || from == "nginx-web-server")
		if older {
			continue
		}
		n++
		op := r["childOperation"]
		switch op { // names that the newer version changed
		case "UploadUserMentions":
			op = "ComposeUserMentions"
		case "UploadUrls":
			op = "ComposeUrls"
		}
		if !got[arc{from, "", to, op}] {
			t.Errorf("%s does not call %s.%s", from, to, op)
		}
	}
	if n < 25 {
		t.Errorf("only %d calls were compared", n)
	}
}

// camel turns compose_text_server into ComposeText.
func camel(span string) string {
	var out strings.Builder
	for _, part := range strings.Split(strings.TrimSuffix(span, "_server"), "_") {
		out.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return out.String()
}

// The compose endpoint has every call of the 20 real traces, and where it is not marked assumed, an operation's CPU time
// is the median of its server spans' own time there.
func TestComposeFollowsTheTraces(t *testing.T) {
	type span struct {
		SpanID, OperationName, ProcessID string
		References                       []struct{ SpanID string }
		StartTime, Duration              float64
	}
	var file struct {
		Data []struct {
			Spans     []span
			Processes map[string]struct{ ServiceName string }
		}
	}
	if err := json.NewDecoder(gunzipped(t, "dsb-traces/social-network-jaeger.json.gz")).Decode(&file); err != nil {
		t.Fatal(err)
	}
	got, own, seen := arcs(t, "social-network"), map[string][]float64{}, map[arc]bool{}
	for _, trace := range file.Data {
		byID, children := map[string]span{}, map[string][]span{}
		for _, s := range trace.Spans {
			byID[s.SpanID] = s
			for _, r := range s.References {
				children[r.SpanID] = append(children[r.SpanID], s)
			}
		}
		service := func(s span) string { return trace.Processes[s.ProcessID].ServiceName }
		for _, s := range trace.Spans {
			if !strings.HasSuffix(s.OperationName, "_server") {
				continue
			}
			client := byID[s.References[0].SpanID]
			caller := byID[client.References[0].SpanID]
			fromOp := camel(caller.OperationName)
			if !strings.HasSuffix(caller.OperationName, "_server") {
				fromOp = "compose-post" // the web server's only span name is the address
			}
			toOp := camel(s.OperationName)
			seen[arc{service(client), fromOp, service(s), toOp}] = true
			own[service(s)+"."+toOp] = append(own[service(s)+"."+toOp], ownTime(s.StartTime, s.StartTime+s.Duration, func(yield func(a, b float64)) {
				for _, c := range children[s.SpanID] {
					yield(c.StartTime, c.StartTime+c.Duration)
				}
			}))
		}
	}
	if len(seen) != 11 {
		t.Errorf("%d calls in the traces, 11 were there", len(seen))
	}
	for a := range seen {
		if !got[a] {
			t.Errorf("%+v is not in the application", a)
		}
	}
	bp, err := ReadApp("social-network")
	if err != nil {
		t.Fatal(err)
	}
	for name, times := range own {
		slices.Sort(times)
		median := (times[len(times)/2-1] + times[len(times)/2]) / 2
		svc, op, _ := strings.Cut(name, ".")
		id, _ := bp.App.ServiceByName(svc)
		i := slices.IndexFunc(bp.Services[id].Operations, func(o foresail.Operation) bool { return o.Name == op })
		if cpu := work(bp.Services[id].Operations[i].Steps, cpuOf) * 1e6; math.Abs(cpu-median) > 1 {
			t.Errorf("%s: %.0f us of CPU, the median of the traces is %.1f us", name, cpu, median)
		}
	}
}

// ownTime is the length of an interval less what its children cover.
func ownTime(start, end float64, children func(func(a, b float64))) float64 {
	var cover [][2]float64
	children(func(a, b float64) { cover = append(cover, [2]float64{max(a, start), min(b, end)}) })
	slices.SortFunc(cover, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	covered, at := 0.0, start
	for _, c := range cover {
		if a := max(c[0], at); c[1] > a {
			covered += c[1] - a
			at = c[1]
		}
	}
	return end - start - covered
}

// Online Boutique has every call between services of a real minute, as often over that minute's requests as there, to
// within a quarter: the number of items in a cart varies there, and is two here.
func TestBoutiqueHasTheSpans(t *testing.T) {
	spans := rows(t, csv.NewReader(gunzipped(t, "nezha-ob/03_53_trace.csv.gz")))
	byID := map[string]map[string]string{}
	for _, s := range spans {
		byID[s["SpanID"]] = s
	}
	service := func(s map[string]string) string {
		name := s["PodName"] // name-hash-hash
		for range 2 {
			name = name[:max(strings.LastIndex(name, "-"), 0)]
		}
		return name
	}
	got := arcs(t, "online-boutique")
	calls := map[arc]float64{}
	for _, s := range spans {
		parent := byID[s["ParentID"]]
		if parent == nil || service(parent) == service(s) {
			continue
		}
		calls[arc{service(parent), "", service(s), last(s["OperationName"])}]++
	}
	if len(calls) < 15 {
		t.Fatalf("only %d different calls in the source", len(calls))
	}
	bp, err := ReadApp("online-boutique")
	if err != nil {
		t.Fatal(err)
	}
	f, mix := newFlow(bp), mixes["online-boutique"]
	for a, n := range calls {
		if !got[a] {
			t.Errorf("%+v is not in the application", a)
			continue
		}
		want := 0.0
		for e, entry := range bp.Entries {
			visits := f.visits(f.base[entry.Service] + entry.Operation)
			for s := range bp.Services {
				for o, op := range bp.Services[s].Operations {
					eachCall(op.Steps, 1, func(c *foresail.Call, times float64) {
						to := bp.Services[c.Target.Service]
						if bp.App.Services[s].Name == a.from && bp.App.Services[c.Target.Service].Name == a.to && to.Operations[c.Target.Operation].Name == a.toOp {
							want += mix[bp.App.Endpoints[e].Name] * visits[f.base[s]+o] * times
						}
					})
				}
			}
		}
		if math.Abs(want-n) > 0.25*n+1 {
			t.Errorf("%s calls %s.%s %.0f times, the source %.0f times", a.from, a.to, a.toOp, want, n)
		}
	}
}

// Every call between services in the call trees of Media's compose endpoint is in the application, to the same
// operation, and every database and cache that they name behind a service is called by it.
func TestMediaHasTheCallTrees(t *testing.T) {
	got, n := arcs(t, "media"), 0
	behind := map[string]string{ // spans of a caller that name what is behind it
		"user-service/MmcGetUserId":                "user-memcached.get",
		"movie-id-service/MmcGetMovieId":           "movie-id-memcached.get",
		"movie-id-service/MmcSetMovieId":           "movie-id-memcached.set",
		"rating-service/RedisInsert":               "rating-redis.update",
		"movie-review-service/MongoFindMovie":      "movie-review-mongodb.find",
		"movie-review-service/MongoUpdate.":        "movie-review-mongodb.insert",
		"movie-review-service/RedisUpdate":         "movie-review-redis.update",
		"user-review-service/MongoFindUser":        "user-review-mongodb.find",
		"user-review-service/MongoUpdate":          "user-review-mongodb.insert",
		"user-review-service/RedisUpdate":          "user-review-redis.update",
		"review-storage-service/MongoInsertReview": "review-storage-mongodb.insert",
	}
	here := func(service string) string { return strings.Replace(service, "nginx", "nginx-web-server", 1) }
	for _, r := range rows(t, csv.NewReader(opened(t, "erms/span-relationships-media-microsvc.csv"))) {
		from, to, op := here(r["parentMS"]), here(r["childMS"]), r["childOperation"]
		if from == to {
			if to == "nginx-web-server" {
				continue // spans of its own
			}
			to, op, _ = strings.Cut(behind[to+"/"+op], ".")
		}
		if n++; !got[arc{from, "", to, op}] {
			t.Errorf("%s does not call %s.%s (%s)", from, to, op, r["childOperation"])
		}
	}
	if n < 20 {
		t.Errorf("only %d calls were compared", n)
	}
}
