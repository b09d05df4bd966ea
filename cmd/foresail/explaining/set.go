package explaining

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
)

// setting is one --set: a service's allocation in another way.
type setting struct {
	text     string
	service  foresail.ServiceID
	cpu      float64 // cores per replica; 0: as it is
	replicas int     // 0: as they are
}

// parse reads "cart.cpu=1.5" and "search.replicas=3". All that is wrong with all of them is told at once.
func parse(app *foresail.App, texts []string) ([]setting, error) {
	var out []setting
	var errs []error
	seen := map[string]bool{}
	for _, text := range texts {
		s, field, err := parseOne(app, text)
		if err == nil {
			key := fmt.Sprintf("%d.%s", s.service, field)
			if seen[key] {
				err = fmt.Errorf("it is set twice")
			}
			seen[key] = true
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("--set %s: %w", printable(text), err))
			continue
		}
		out = append(out, s)
	}
	return out, cli.Usage(errors.Join(errs...))
}

const form = "write SERVICE.cpu=CORES or SERVICE.replicas=NUMBER, like cart.cpu=1.5"

func parseOne(app *foresail.App, text string) (s setting, field string, err error) {
	left, value, ok := strings.Cut(text, "=")
	dot := strings.LastIndexByte(left, '.')
	if !ok || dot < 1 {
		return s, "", errors.New(form)
	}
	name, field := left[:dot], left[dot+1:]
	id, ok := app.ServiceByName(name)
	if !ok || app.Services[id].Gone {
		return s, "", fmt.Errorf("%s has no service %q%s", app.Name, name, near(app, name))
	}
	s = setting{text: text, service: id}
	b := app.Services[id].Bounds
	switch field {
	case "cpu":
		if s.cpu, err = strconv.ParseFloat(value, 64); err != nil || !(s.cpu > 0) {
			return s, "", fmt.Errorf("%q is no number of cores above 0", value)
		}
		if most := max(b.MaxCPU, b.MinCPU); s.cpu < b.MinCPU || s.cpu > most {
			return s, "", fmt.Errorf("its bounds are %g to %g cores for each replica", b.MinCPU, most)
		}
	case "replicas":
		if s.replicas, err = strconv.Atoi(value); err != nil || s.replicas < 1 {
			return s, "", fmt.Errorf("%q is no number of replicas from 1 on", value)
		}
		if most := max(b.MaxReplicas, b.MinReplicas); s.replicas < b.MinReplicas || s.replicas > most {
			return s, "", fmt.Errorf("its bounds are %d to %d replicas", b.MinReplicas, most)
		}
	default:
		return s, "", fmt.Errorf("there is no field %q: %s", field, form)
	}
	return s, field, nil
}

// near suggests the service that was probably meant.
func near(app *foresail.App, name string) string {
	best, least := "", len(name)/2+1
	for i := range app.Services {
		n := app.Services[i].Name
		d := distance(name, n)
		if strings.HasPrefix(n, name) {
			d = 1
		}
		if !app.Services[i].Gone && d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ": see 'foresail apps " + app.Name + "'"
	}
	return ", did you mean " + best + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			was := row[j+1]
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j+1]+1, row[j]+1, before+cost)
			before = was
		}
	}
	return row[len(b)]
}

// apply changes allocations at a moment, and returns the total cores of all services afterwards.
func apply(m *moment, all []setting) ([]float64, []Set) {
	now := &m.past[len(m.past)-1]
	out := m.held()
	replicas, cpu := map[foresail.ServiceID]int{}, map[foresail.ServiceID]float64{}
	var order []foresail.ServiceID
	for _, s := range all {
		if _, there := replicas[s.service]; !there {
			st := now.Services[s.service]
			replicas[s.service], cpu[s.service] = int(st.Replicas), st.Cores/st.Replicas
			order = append(order, s.service)
		}
		if s.cpu > 0 {
			cpu[s.service] = s.cpu
		}
		if s.replicas > 0 {
			replicas[s.service] = s.replicas
		}
	}
	var sets []Set
	for _, id := range order {
		st := now.Services[id]
		out[id] = float64(replicas[id]) * cpu[id]
		sets = append(sets, Set{Service: m.app.Services[id].Name, ReplicasNow: int(st.Replicas), CPUNow: cli.Round(st.Cores / st.Replicas),
			Replicas: replicas[id], CPU: cli.Round(cpu[id])})
	}
	return out, sets
}

// Set is a service whose allocation is another.
type Set struct {
	Service     string  `json:"service"`
	ReplicasNow int     `json:"replicas_now"`
	CPUNow      float64 `json:"cpu_cores_now"` // of each replica
	Replicas    int     `json:"replicas"`
	CPU         float64 `json:"cpu_cores"`
}
