package series

import (
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// field is one series of a level, and how its value is read from and put into T, what that level has in a snapshot.
type field[T any] struct {
	Def
	has  func(*T) bool // it was observed
	get  func(v *T, end time.Time) float64
	set  func(v *T, end time.Time, x float64)
	hist func(*T) **sketch.Sketch // of a histogram, instead of get and set
}

// number is a field that holds the value as it is, or rounded to a whole number.
func number[T any, N int | int64](at func(*T) *N) field[T] {
	return field[T]{
		get: func(v *T, _ time.Time) float64 { return float64(*at(v)) },
		set: func(v *T, _ time.Time, x float64) {
			if *at(v) = N(x); float64(*at(v)) != x { // a whole number, which a sum of floats may miss
				*at(v) = N(math.Round(x))
			}
		},
	}
}

// exact is a field that holds a float as it is.
func exact[T any](at func(*T) *float64) field[T] {
	return field[T]{
		get: func(v *T, _ time.Time) float64 { return *at(v) },
		set: func(v *T, _ time.Time, x float64) { *at(v) = x },
	}
}

// seconds is a field that holds a duration.
func seconds[T any](at func(*T) *time.Duration) field[T] {
	return field[T]{
		get: func(v *T, _ time.Time) float64 { return at(v).Seconds() },
		set: func(v *T, _ time.Time, x float64) { *at(v) = time.Duration(math.Round(x * 1e9)) },
	}
}

// latency is a field that holds a sketch.
func latency[T any](at func(*T) **sketch.Sketch) field[T] { return field[T]{hist: at} }

// named completes a field.
func (f field[T]) named(l Level, suffix, unit, help string, k Kind, has func(*T) bool) field[T] {
	f.Def = Def{Name: "foresail_" + l.String() + "_" + suffix, Help: help + ", " + levels[l].of + ".", Unit: unit, Kind: k, Level: l}
	f.has = has
	return f
}

// gauge is the three fields of a Gauge.
func gauge[T any](l Level, name, help string, has func(*T) bool, at func(*T) *foresail.Gauge) []field[T] {
	return []field[T]{
		exact(func(v *T) *float64 { return &at(v).Last }).named(l, name+"_last", "", help+" at the end of the interval", Gauge, has),
		exact(func(v *T) *float64 { return &at(v).Mean }).named(l, name+"_mean", "", help+", mean over the interval", Gauge, has),
		exact(func(v *T) *float64 { return &at(v).Max }).named(l, name+"_max", "", help+", most during the interval", Gauge, has),
	}
}

// usageFields are what a level has of foresail.Usage.
func usageFields[T any](l Level, of func(*T) *foresail.Usage) []field[T] {
	has := func(s foresail.Signals) func(*T) bool { return func(v *T) bool { return of(v).Has.Has(s) } }
	float := func(at func(*foresail.Usage) *float64) field[T] {
		return exact(func(v *T) *float64 { return at(of(v)) })
	}
	bytes := func(at func(*foresail.Usage) *int64) field[T] {
		return number(func(v *T) *int64 { return at(of(v)) })
	}
	secs := func(at func(*foresail.Usage) *time.Duration) field[T] {
		return seconds(func(v *T) *time.Duration { return at(of(v)) })
	}
	const (
		network  = foresail.SignalNetwork
		disk     = foresail.SignalDisk
		pressure = foresail.SignalPressure
	)
	type u = foresail.Usage
	out := []field[T]{
		number(func(v *T) *int { return &of(v).Ready }).named(l, "ready", "replicas", "Replicas that are ready", Gauge, has(foresail.SignalReady)),
		float(func(v *u) *float64 { return &v.CPU }).named(l, "cpu_seconds_total", "seconds", "CPU time used", Counter, has(foresail.SignalCPU)),
		secs(func(v *u) *time.Duration { return &v.CPUOver }).named(l, "cpu_observed_seconds", "seconds",
			"Over how much of the interval CPU was observed, where it was not all of it", Gauge, func(v *T) bool { return of(v).CPUOver > 0 }),
		secs(func(v *u) *time.Duration { return &v.Throttled }).named(l, "throttled_seconds_total", "seconds", "Time throttled by the CPU quota", Counter, has(foresail.SignalThrottled)),
		bytes(func(v *u) *int64 { return &v.Memory }).named(l, "memory_bytes", "bytes", "Memory in use", Gauge, has(foresail.SignalMemory)),
		bytes(func(v *u) *int64 { return &v.NetIn }).named(l, "network_receive_bytes_total", "bytes", "Bytes received", Counter, has(network)),
		bytes(func(v *u) *int64 { return &v.NetOut }).named(l, "network_transmit_bytes_total", "bytes", "Bytes sent", Counter, has(network)),
		float(func(v *u) *float64 { return &v.Arrivals }).named(l, "arrivals_total", "", "Requests that arrived", Counter, has(foresail.SignalArrivals)),
		float(func(v *u) *float64 { return &v.Completions }).named(l, "completions_total", "", "Requests answered, errors included", Counter, has(foresail.SignalCompletions)),
		float(func(v *u) *float64 { return &v.Errors }).named(l, "errors_total", "", "Requests that failed, were refused or timed out", Counter, has(foresail.SignalErrors)),
		latency(func(v *T) **sketch.Sketch { return &of(v).Latency }).named(l, "latency_seconds", "seconds",
			"Time from arrival to answer of requests that did not fail", NativeHistogram, has(foresail.SignalLatency)),
		bytes(func(v *u) *int64 { return &v.DiskRead }).named(l, "disk_read_bytes_total", "bytes", "Bytes read from disks", Counter, has(disk)),
		bytes(func(v *u) *int64 { return &v.DiskWritten }).named(l, "disk_written_bytes_total", "bytes", "Bytes written to disks", Counter, has(disk)),
		secs(func(v *u) *time.Duration { return &v.IOWait }).named(l, "io_wait_seconds_total", "seconds", "Time that threads waited for a disk, summed", Counter, has(disk)),
		secs(func(v *u) *time.Duration { return &v.CPUPressure }).named(l, "cpu_pressure_seconds_total", "seconds", "Time in which a thread waited for CPU", Counter, has(pressure)),
		secs(func(v *u) *time.Duration { return &v.MemoryPressure }).named(l, "memory_pressure_seconds_total", "seconds", "Time in which a thread waited for memory", Counter, has(pressure)),
		secs(func(v *u) *time.Duration { return &v.IOPressure }).named(l, "io_pressure_seconds_total", "seconds", "Time in which a thread waited for I/O", Counter, has(pressure)),
		float(func(v *u) *float64 { return &v.Retransmits }).named(l, "retransmits_total", "", "TCP segments sent again", Counter, has(foresail.SignalRetransmits)),
		float(func(v *u) *float64 { return &v.CacheMisses }).named(l, "cache_misses_total", "", "Misses of the last-level cache", Counter, has(foresail.SignalCacheMisses)),
		float(func(v *u) *float64 { return &v.MemoryTraffic }).named(l, "memory_traffic_bytes_total", "bytes", "Bytes between the caches and memory", Counter, has(foresail.SignalMemoryTraffic)),
	}
	out = append(out, gauge(l, "in_flight", "Requests accepted and not answered", has(foresail.SignalInFlight), func(v *T) *foresail.Gauge { return &of(v).InFlight })...)
	out = append(out, gauge(l, "queue", "Requests that wait for a worker", has(foresail.SignalQueue), func(v *T) *foresail.Gauge { return &of(v).Queue })...)
	return out
}

// signals is the field that says which signals were observed, and that the thing was there.
func signals[T any](l Level, has func(*T) bool, at func(*T) *foresail.Signals) field[T] {
	f := field[T]{
		get: func(v *T, _ time.Time) float64 { return float64(*at(v)) },
		set: func(v *T, _ time.Time, x float64) { *at(v) = foresail.Signals(x) & foresail.SignalsAll },
	}.named(l, "signals", "", "Which signals were observed, as a sum of powers of two", Gauge, has)
	f.Bookkeeping = true
	return f
}
