//go:build !amd64

package load

import "foresail.dev/telemetry/agent/probe"

func code(bool) (*worker, func() error, error) {
	return nil, nil, &Unavailable{probe.L1Instructions, "no program that fills an instruction cache was written for this kind of processor"}
}
