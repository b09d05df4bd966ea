package managers

import (
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/model/forecast/methods"
	"foresail.dev/plan/autopilot"
	"foresail.dev/plan/autoscale"
	"foresail.dev/plan/autothrottle"
	"foresail.dev/plan/derm"
	"foresail.dev/plan/erms"
	"foresail.dev/plan/hpa"
	"foresail.dev/plan/k8scpu"
	"foresail.dev/plan/madu"
	"foresail.dev/plan/powerchief"
	"foresail.dev/plan/sinan"
	"foresail.dev/plan/static"
	"foresail.dev/plan/vpa"
)

// entry is one manager.
type entry struct {
	name   string
	about  string
	params []Param
	build  func(app *foresail.App, v values, o Options) (foresail.Manager, error)
}

var table = []entry{
	{"static", "the allocations of the application file", nil, func(a *foresail.App, _ values, _ Options) (foresail.Manager, error) {
		return static.New(a, static.Config{})
	}},
	{"static-max", "every service at its maximum", nil, func(a *foresail.App, _ values, _ Options) (foresail.Manager, error) {
		return static.New(a, static.Config{Max: true})
	}},
	{"hpa", "Kubernetes' horizontal autoscaler, 50 % CPU", []Param{
		{Name: "target", Min: 0.1, Max: 0.95, Default: 0.5, Doc: "CPU used over CPU requested that it aims at"},
		{Name: "tolerance", Min: 0.01, Max: 0.3, Default: 0.1, Doc: "how far from the target, as a share of it, nothing is done"},
		{Name: "stabilisation_s", Min: 0, Max: 900, Default: 300, Doc: "a scale-down waits for the highest recommendation of so many seconds"},
	}, buildHPA},
	{"k8s-cpu", "Kubernetes' rule on CPU limits, 15 s and 300 s", limitParams, func(a *foresail.App, v values, _ Options) (foresail.Manager, error) {
		return k8scpu.New(a, k8scpu.Config{Target: v["target"]})
	}},
	{"k8s-cpu-fast", "Kubernetes' rule on CPU limits, 1 s and 20 s", limitParams, func(a *foresail.App, v values, _ Options) (foresail.Manager, error) {
		return k8scpu.New(a, k8scpu.Config{Fast: true, Target: v["target"]})
	}},
	{"vpa", "Kubernetes' vertical autoscaler, p90 and 15 %", []Param{
		{Name: "percentile", Min: 0.5, Max: 1, Default: 0.9, Doc: "of a replica's usage, which the target is taken from"},
		{Name: "margin", Min: 0, Max: 1, Default: 0.15, Doc: "what is added to it, as a share"},
		{Name: "life_h", Min: 0, Max: 24, Default: 12, Doc: "hours that a replica must have run undisturbed before a difference of 10 % is worth a change; 0: none"},
	}, buildVPA},
	{"autopilot", "Google's Autopilot, horizontal, p95 and 50 % CPU", []Param{
		statistic, halfLife,
		{Name: "target", Min: 0.1, Max: 0.95, Default: 0.5, Doc: "CPU used over CPU allocated that it aims at"},
		{Name: "deferred_s", Min: 0, Max: 7200, Default: 0, Doc: "the largest recommendation of so many seconds counts"},
	}, func(a *foresail.App, v values, _ Options) (foresail.Manager, error) {
		return autopilot.New(a, autopilot.Config{Percentile: v["percentile"], HalfLife: hours(v["half_life_h"]),
			Target: v["target"], Deferred: v.duration("deferred_s")})
	}},
	{"autopilot-vertical", "Google's Autopilot, vertical, p95 and 15 %", []Param{
		statistic, halfLife,
		{Name: "margin", Min: 0, Max: 1, Default: 0.15, Doc: "what is added to the statistic of a replica, as a share"},
	}, func(a *foresail.App, v values, _ Options) (foresail.Manager, error) {
		return autopilot.New(a, autopilot.Config{Vertical: true, Percentile: v["percentile"], HalfLife: hours(v["half_life_h"]),
			Margin: orNone(v["margin"])})
	}},
	{"autoscale-cons", "Sinan's conservative step scaler", stepParams, func(a *foresail.App, v values, _ Options) (foresail.Manager, error) {
		return autoscale.New(a, autoscale.Config{Name: "autoscale-cons", Steps: steps(autoscale.Conservative(), v)})
	}},
	{"autoscale-opt", "Sinan's tuned step scaler", stepParams, func(a *foresail.App, v values, _ Options) (foresail.Manager, error) {
		return autoscale.New(a, autoscale.Config{Name: "autoscale-opt", Steps: steps(autoscale.Optimised(), v)})
	}},
	{"powerchief", "PowerChief: boosts the service with the longest delay", []Param{
		{Name: "interval_s", Min: 1, Max: 30, Default: 1, Log: true, Doc: "seconds between decisions"},
		{Name: "step", Min: 0.05, Max: 0.5, Default: 0.2, Log: true, Doc: "what a boost adds and a withdrawal takes, as a share of a service's cores"},
		{Name: "high", Min: 0.3, Max: 1.2, Default: 0.5, Doc: "latency over objective above which the bottleneck is boosted"},
		{Name: "low", Min: 0.1, Max: 1, Default: 0.25, Doc: "latency over objective, at most high, below which the least loaded are lowered"},
	}, func(a *foresail.App, v values, _ Options) (foresail.Manager, error) {
		return powerchief.New(a, powerchief.Config{Interval: v.duration("interval_s"), Step: v["step"], High: v["high"], Low: min(v["low"], v["high"])})
	}},
	{"autothrottle", "Autothrottle: throttle-ratio captains and a bandit above them", []Param{
		{Name: "slo_factor", Min: 0.2, Max: 1, Default: 1, Doc: "the share of each objective's latency that it aims to stay within"},
		{Name: "exploration", Min: 0, Max: 0.5, Default: 0.1, Doc: "the share of minutes in which it tries a neighbouring pair of targets"},
		{Name: "training_min", Min: 0, Max: 1440, Default: 0, Integer: true, Doc: "minutes, counted over restarts, that it spends on training before"},
	}, func(a *foresail.App, v values, o Options) (foresail.Manager, error) {
		return autothrottle.New(a, autothrottle.Config{Seed: o.Seed, Factor: v["slo_factor"], Exploration: orNone(v["exploration"]), Training: int(v["training_min"])})
	}},
	{"madu", "Madu: containers for the calls forecast, smoothed", maduParams(), buildMadu},
	{"erms", "Erms: each objective split into latency targets of services, by p95 over load", ermsParams(), buildErms},
	{"derm", "Derm: the fewest containers under which every endpoint's percentile holds, for the call graphs expected", dermParams(), buildDerm},
	{"sinan", "Sinan: the cheapest allocation that a model of tail latency calls safe", sinanParams(), buildSinan},
}

func buildHPA(a *foresail.App, v values, _ Options) (foresail.Manager, error) {
	down := hpa.DefaultDown()
	down.Stabilisation = v.duration("stabilisation_s")
	return hpa.New(a, hpa.Config{Target: v["target"], Tolerance: v["tolerance"], Down: &down})
}

func buildVPA(a *foresail.App, v values, _ Options) (foresail.Manager, error) {
	return vpa.New(a, vpa.Config{Percentile: v["percentile"], Margin: orNone(v["margin"]), Life: orNone(hours(v["life_h"]))})
}

// What is tuned of both of Autopilot's modes.
var (
	statistic = Param{Name: "percentile", Min: 0.5, Max: 1, Default: 0.95, Doc: "of usage, weighted by age and load; 1 is the maximum"}
	halfLife  = Param{Name: "half_life_h", Min: 0.02, Max: 72, Default: 12, Log: true, Doc: "hours in which the weight of past usage halves"}
)

// limitParams are what may be tuned of Kubernetes' rule on CPU limits.
var limitParams = []Param{{Name: "target", Min: 0.1, Max: 0.95, Default: 0.5, Doc: "CPU used over CPU allocated that it aims at"}}

func hours(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }

// orNone turns a setting of zero into what a Config takes for none, since its zero stands for the default.
func orNone[T float64 | time.Duration](x T) T {
	if x == 0 {
		return -1
	}
	return x
}

// stepParams are what may be tuned of a step scaler.
var stepParams = []Param{
	{Name: "threshold", Min: 0.5, Max: 1.4, Default: 1, Log: true, Doc: "every threshold of the table is multiplied by it"},
	{Name: "step", Min: 0.3, Max: 2, Default: 1, Log: true, Doc: "every step of the table, up or down, is multiplied by it"},
}

// steps is a table with its thresholds and steps multiplied.
func steps(of []autoscale.Step, v values) []autoscale.Step {
	for i := range of {
		s := &of[i]
		s.From *= v["threshold"]
		if !math.IsInf(s.To, 1) {
			s.To *= v["threshold"]
		}
		s.Factor = 1 + (s.Factor-1)*v["step"]
	}
	return of
}

// modelled are the managers that decide with a model which was trained before.
var modelled = []string{"sinan"}

// maduParams are those of Madu; the forecasters are numbered as they are listed.
func maduParams() []Param {
	names := methods.Names()
	return []Param{
		{Name: "forecaster", Max: float64(len(names) - 1), Default: float64(slices.Index(names, madu.DefaultForecaster())), Integer: true, Fixed: true,
			Choices: names, Doc: "the method that forecasts calls"},
		{Name: "m", Min: 1, Max: 60, Default: 5, Log: true, Integer: true, Doc: "minutes that it looks ahead and smooths over"},
		{Name: "n", Min: 5, Max: 240, Default: 60, Integer: true, Fixed: true, Doc: "minutes that a network looks back"},
		{Name: "target", Min: 0.1, Max: 0.95, Default: 0.5, Doc: "CPU used over CPU allocated that it stays at or under"},
		{Name: "memory", Min: 0.1, Max: 1, Default: 0.6, Fixed: true, Doc: "memory used over memory allocated that it stays at or under"},
		{Name: "rho", Min: 0, Max: 1, Default: 0.2, Doc: "the share of containers beyond those needed that smoothing may keep"},
		{Name: "sigma", Min: 0, Max: 3, Default: 1, Doc: "sigmas added to the mean of a forecast"},
		{Name: "lead_s", Min: 0, Max: 55, Default: 10, Fixed: true, Doc: "seconds before a minute in which what it needs more is asked for"},
		{Name: "traces", Min: 0.01, Max: 1, Default: 0.1, Fixed: true, Doc: "the share of requests whose traces count calls, where the cluster can choose"},
		{Name: "steps", Min: 0, Max: 100000, Default: 0, Integer: true, Fixed: true, Doc: "training steps of a network at most; 0: its own"},
	}
}

func buildMadu(a *foresail.App, v values, o Options) (foresail.Manager, error) {
	return madu.New(a, madu.Config{Forecaster: methods.Names()[int(v["forecaster"])], M: int(v["m"]), N: int(v["n"]), CPU: v["target"], Memory: v["memory"],
		Rho: orNone(v["rho"]), Sigma: orNone(v["sigma"]), Lead: orNone(v.duration("lead_s")), Traces: v["traces"], Steps: int(v["steps"]), Seed: o.Seed})
}

// dermParams are those of Derm.
func dermParams() []Param {
	return []Param{
		{Name: "confidence", Min: 0, Max: 0.999, Default: 0.5, Fixed: true, Doc: "the share of windows in which an objective is to hold in spite of chance; 0: its percentile holds on the long run"},
		{Name: "utilisation", Min: 0.3, Max: 0.95, Default: 0.7, Doc: "the share of its CPU that a container may use in the mean of a minute at most"},
		{Name: "slo_factor", Min: 0.4, Max: 1, Default: 0.8, Fixed: true, Doc: "the share of each objective's latency that percentiles are to stay within"},
		{Name: "memory", Min: 5, Max: 60, Default: 30, Integer: true, Fixed: true, Doc: "minutes whose mixes of call graphs are held again, whatever is predicted"},
		{Name: "margin", Min: 0, Max: 3, Default: 1, Doc: "standard deviations of the requests of five seconds that are added to what is expected"},
		{Name: "unlikely", Min: 0, Max: 0.3, Default: 0.03, Fixed: true, Doc: "the probability below which a predicted mix does not count"},
		{Name: "traces", Min: 0, Max: 1, Default: 0, Fixed: true, Doc: "the share of requests whose traces tell call graphs, where the cluster can choose; 0: all there are"},
	}
}

func buildDerm(a *foresail.App, v values, o Options) (foresail.Manager, error) {
	return derm.New(a, derm.Config{Confidence: orNone(v["confidence"]), Utilisation: v["utilisation"], Factor: v["slo_factor"], Memory: int(v["memory"]), Margin: orNone(v["margin"]),
		Unlikely: orNone(v["unlikely"]), Traces: v["traces"], Seed: o.Seed})
}

// sinanParams are those of Sinan's scheduler.
func sinanParams() []Param {
	return []Param{
		{Name: "down", Min: 0.01, Max: 0.5, Default: sinan.DefaultDown, Log: true, Doc: "the probability of a violation up to which something is lowered"},
		{Name: "up", Min: 0.01, Max: 0.9, Default: sinan.DefaultUp, Log: true, Doc: "the probability, at least down, below which something is held or raised to"},
		{Name: "margin", Min: 0, Max: 5, Default: 1, Doc: "how many times the model's error p99 must stay below the objective"},
		{Name: "utilisation", Min: 0.3, Max: 0.95, Default: sinan.DefaultUtilisation, Doc: "a service that uses a larger share of its cores is raised"},
		{Name: "tight", Min: 0.1, Max: 1, Default: 0.5, Fixed: true, Doc: "beyond this utilisation something is lowered only when every endpoint has shown headroom since; 1: always"},
		{Name: "headroom", Min: 0.1, Max: 1, Default: 0.7, Fixed: true, Doc: "the share of its objective that an endpoint's percentile must be below for that"},
		{Name: "unit", Min: 0.1, Max: 4, Default: 1, Log: true, Fixed: true, Doc: "cores of a step up or down, for services with a maximum of 4 and more"},
		{Name: "rate", Max: 1, Default: 0, Integer: true, Fixed: true, Choices: []string{"averaged", "published"},
			Doc: "when the load counts as steady, so that something may be lowered"},
		{Name: "boost_s", Min: 1, Max: 120, Default: 3, Fixed: true, Doc: "seconds at the maximum after a violation that was predicted safe"},
		{Name: "misses", Min: 1, Max: 100, Default: 3, Integer: true, Fixed: true, Doc: "so many misses in a hundred decisions lose the model its trust"},
		{Name: "earn", Min: 1, Max: 1000, Default: 30, Integer: true, Fixed: true, Doc: "so many correct predictions in a row give it back"},
	}
}

func buildSinan(a *foresail.App, v values, o Options) (foresail.Manager, error) {
	c := sinan.Config{Down: v["down"], Up: max(v["up"], v["down"]), Margin: orNone(v["margin"]), Utilisation: v["utilisation"], Outside: min(0.3, v["utilisation"]),
		Tight: v["tight"], Headroom: v["headroom"], Unit: v["unit"],
		PublishedRate: v["rate"] == 1, Boost: v.duration("boost_s"), Misses: int(v["misses"]), Earn: int(v["earn"])}
	if o.Model == nil {
		return sinan.New(a, nil, c, o.Seed)
	}
	return sinan.New(a, o.Model.tail, c, o.Seed)
}

// ermsParams are those of Erms.
func ermsParams() []Param {
	return []Param{
		{Name: "slo_factor", Min: 0.2, Max: 3, Default: 1, Log: true, Doc: "the share of each objective's latency that is split; a sum of p95 is more than a request's p95, so it may be above 1"},
		{Name: "headroom", Min: 0, Max: 1, Default: 0, Doc: "what is added to the load that was observed, as a share"},
		{Name: "peak_min", Min: 1, Max: 60, Default: 30, Log: true, Integer: true, Doc: "what any of so many of the last minutes took counts"},
		{Name: "full", Min: 0.4, Max: 1, Default: 0.75, Doc: "the share of its CPU that a container may come to use in the mean of a minute"},
		{Name: "window_min", Min: 1, Max: 120, Default: 10, Integer: true, Fixed: true, Doc: "minutes whose call graphs are merged into one"},
		{Name: "target", Min: 0.1, Max: 0.95, Default: 0.5, Fixed: true, Doc: "CPU used over CPU allocated of services whose latency is not known yet"},
		{Name: "sharing", Max: 1, Default: 0, Integer: true, Fixed: true, Choices: []string{"priority", "fair"}, Doc: "how services that several endpoints use are scaled; with priority, as if calls with smaller targets went first"},
		{Name: "explore_min", Min: 0, Max: 1440, Default: 0, Integer: true, Fixed: true, Doc: "minutes, counted over restarts, that it spends on loading services differently to learn from"},
	}
}

func buildErms(a *foresail.App, v values, o Options) (foresail.Manager, error) {
	return erms.New(a, erms.Config{Factor: v["slo_factor"], Headroom: v["headroom"], Full: v["full"], Peak: int(v["peak_min"]), Window: int(v["window_min"]), CPU: v["target"],
		Fair: v["sharing"] == 1, Explore: int(v["explore_min"]), Seed: o.Seed})
}
