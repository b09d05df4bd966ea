package cgroup

import groups "foresail.dev/telemetry/agent/cgroup"

// Stats are a group's counters since it was made, and its memory now: read as the node agent reads them.
type Stats = groups.Stats

// Period is the length over which a CPU quota is counted.
const Period = groups.Period
