package plan

import (
	"encoding/json"
	"fmt"
	"time"
)

// Grow makes room for n services, by ServiceID; what is remembered of a new one is fresh.
func Grow[T any](services []*T, n int, fresh func() *T) []*T {
	for len(services) < n {
		services = append(services, fresh())
	}
	return services
}

// Restore reads what a manager kept as {"Last": time, "Services": [...]}: until when it has sampled, and what it remembers
// of each service, each read over a fresh one and then checked. Errors name the service.
func Restore[T any](b []byte, fresh func() *T, check func(*T) error) (last time.Time, services []*T, err error) {
	var raw struct {
		Last     time.Time
		Services []json.RawMessage
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return time.Time{}, nil, err
	}
	for i, r := range raw.Services {
		v := fresh()
		err := json.Unmarshal(r, v)
		if err == nil {
			err = check(v)
		}
		if err != nil {
			return time.Time{}, nil, fmt.Errorf("service %d: %w", i, err)
		}
		services = append(services, v)
	}
	return raw.Last, services, nil
}
