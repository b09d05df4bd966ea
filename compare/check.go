package compare

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/plan/managers"
)

// Check tells what fields alone can't: repeats, names that are not there, and what contradicts itself.
func (e *Experiment) Check(at appfile.Place) {
	e.checkManagers(at)
	seeds := map[uint64]string{}
	checkSeeds(at.At("seeds"), "seeds", e.Seeds, seeds)
	if t := e.Tuning; t != nil {
		checkSeeds(at.At("tuning", "seeds"), "tuning.seeds", t.Seeds, seeds)
		whole(at.At("tuning", "duration"), t.Duration)
	}
	if t := e.Training; t != nil {
		checkSeeds(at.At("training", "seeds"), "training.seeds", t.Seeds, seeds)
	}
	whole(at.At("duration"), e.Duration)
	whole(at.At("warmup"), e.Warmup)
	if e.Baseline != "" && !slices.Contains(managers.Names(), e.Baseline) {
		at.At("baseline").Faultf("is %q, which is no manager: use %s", e.Baseline, known(managers.Names()))
	}
	if e.real() {
		e.checkReal(at)
	}
	shared := false
	for i, a := range e.Applications {
		place := at.At("applications", i)
		shared = shared || len(a.Loads) == 0
		if len(a.Loads) == 0 && len(e.Loads) == 0 {
			place.Faultf("has no load: give it loads, or give the experiment loads for all applications")
		}
		if (a.Application == "") == (a.Random == nil) {
			place.Faultf("must have exactly one of application and random")
		}
		if j := slices.IndexFunc(e.Applications[:i], func(b Application) bool { return b.String() == a.String() }); j >= 0 && a.String() != "" {
			place.Faultf("is the same application as applications[%d]", j)
		}
	}
	if len(e.Loads) > 0 && !shared && len(e.Applications) > 0 {
		at.At("loads").Faultf("are used by no application: each has loads of its own")
	}
}

// checkReal refuses what real processes can't do.
func (e *Experiment) checkReal(at appfile.Place) {
	if len(e.Nodes.Nodes) > 0 {
		at.At("nodes").Faultf("are simulated, but cluster is testbed: take either out")
	}
	faulty := func(at appfile.Place, loads []LoadRef) {
		for i := range loads {
			if loads[i].Faults.Given() {
				at.At("loads", i, "faults").Faultf("are simulated, but cluster is testbed: take either out")
			}
		}
	}
	faulty(at, e.Loads)
	for i := range e.Applications {
		faulty(at.At("applications", i), e.Applications[i].Loads)
	}
	for i := range e.Managers {
		if e.Managers[i].Train > 0 {
			at.At("managers", i, "train").Faultf("is simulated time before the run, but cluster is testbed: give it what it has learnt elsewhere")
		}
	}
}

func (e *Experiment) checkManagers(at appfile.Place) {
	labels := map[string]int{}
	var names []string
	trains, tunes := false, false
	for i := range e.Managers {
		c := &e.Managers[i]
		place := at.At("managers", i)
		list := []string{cmp.Or(c.As, c.Manager)}
		if c.Manager == allManagers {
			list = every()
			if c.As != "" || len(c.Settings) > 0 || c.Model != "" {
				place.Faultf("stands for every manager: as, settings and model belong to a single one")
			}
		}
		var called []string
		for _, way := range e.foreseen(*c) {
			for _, n := range list {
				if way.foresees && n != "" {
					n = foreseenAs(n)
				}
				called = append(called, n)
			}
		}
		for _, n := range called {
			if j, twice := labels[n]; twice && n != "" {
				place.Faultf("is %s, as managers[%d] is: give one of them another name with as", n, j)
			}
			labels[n] = i
			names = append(names, n)
		}
		c.check(place)
		trains = trains || c.Train > 0
		tunes = tunes || c.Tune != nil && *c.Tune
		if c.Train > 0 {
			whole(place.At("train"), c.Train)
			if e.Training == nil {
				place.At("train").Faultf("needs training.seeds: what it is trained on must not be what is reported")
			}
		}
		if c.Tune != nil && *c.Tune && e.Tuning == nil {
			place.At("tune").Faultf("needs a tuning section: how many trials, and on which seeds")
		}
	}
	if e.Training != nil && !trains && len(e.Managers) > 0 {
		at.At("training").Faultf("trains no manager: give one train, for example 2h, or take training out")
	}
	if e.Reference != "" && !slices.Contains(names, e.Reference) {
		at.At("reference").Faultf("is %q, which is not among the managers: use one of %s", e.Reference, known(names))
	}
}

// check holds a manager's name and settings against what there is.
func (c *Choice) check(at appfile.Place) {
	if c.Manager == allManagers || c.Manager == "" {
		return
	}
	if !slices.Contains(managers.Names(), c.Manager) {
		at.Faultf("names the manager %q, which is not there: use %s, or all", c.Manager, known(managers.Names()))
		return
	}
	if c.Forecaster != "" {
		c.checkForecaster(at)
	}
	if c.Model != "" && !managers.UsesModel(c.Manager) {
		at.At("model").Faultf("is no matter of %s: it decides without one", c.Manager)
	}
	params := managers.Params(c.Manager)
	for _, name := range slices.Sorted(maps.Keys(c.Settings)) {
		v, place := c.Settings[name], at.At("settings", name)
		i := slices.IndexFunc(params, func(p managers.Param) bool { return p.Name == name })
		switch {
		case i < 0 && len(params) == 0:
			place.Key().Faultf("is not a setting of %s: it has none", c.Manager)
		case i < 0:
			place.Key().Faultf("is not a setting of %s: use %s", c.Manager, list(params))
		case v < params[i].Min || v > params[i].Max || params[i].Integer && v != math.Trunc(v):
			place.Faultf("is %v, out of its range: %s", v, params[i])
		}
	}
	if c.Tune != nil && *c.Tune && len(free(c)) == 0 {
		at.At("tune").Faultf("leaves nothing to tune: %s has no setting that is not given", c.Manager)
	}
}

// checkForecaster holds the forecaster's name against those that the manager may use.
func (c *Choice) checkForecaster(at appfile.Place) {
	names := c.forecasters()
	_, twice := c.Settings["forecaster"]
	switch {
	case names == nil:
		at.At("forecaster").Faultf("is no matter of %s: it forecasts nothing", c.Manager)
	case !slices.Contains(names, c.Forecaster):
		at.At("forecaster").Faultf("is %q, which is not there: use %s", c.Forecaster, known(names))
	case twice:
		at.At("forecaster").Faultf("is in settings as well: take out either")
	}
}

func list(params []managers.Param) string {
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.String()
	}
	return known(names)
}

// checkSeeds refuses a seed that is repeated, in one list or over several: what is tuned or trained on is not reported.
func checkSeeds(at appfile.Place, list string, seeds []uint64, seen map[uint64]string) {
	for i, s := range seeds {
		switch where, twice := seen[s]; {
		case twice && where == list:
			at.At(i).Faultf("is %d, which is in the list already: a repeated seed gives the same run again", s)
		case twice:
			at.At(i).Faultf("is %d, which is among %s: what is tuned or trained on must not be reported", s, where)
		}
		seen[s] = list
	}
}

// whole asks for whole seconds, so that windows are.
func whole(at appfile.Place, d time.Duration) {
	if d%time.Second != 0 {
		at.Faultf("is %s, must be a whole number of seconds", d)
	}
}
