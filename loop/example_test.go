package loop_test

import (
	"context"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/plantest"
)

// A test is the daemon's loop with a scripted cluster: a minute of load that one replica can't bear.
func ExampleRun() {
	cluster := &plantest.Cluster{
		Application: plantest.App(1),
		Until:       time.Minute,
		Demand:      func(foresail.ServiceID, time.Duration) float64 { return 2 },
	}
	manager, err := managers.Guarded("hpa", "hpa", cluster.Application)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = loop.Run(context.Background(), cluster, manager, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Decided: func(d loop.Decision) {
			if d.Plan == nil {
				return
			}
			for _, c := range d.Plan.Changes {
				fmt.Printf("%s %v: %s\n", d.At.Format(time.TimeOnly), c.To, c.Reason.Text)
			}
		},
	}})
	fmt.Println(err)
	// Output:
	// 12:00:15 2 × 1.00 cores: CPU at 100 % of the request over 15s against a target of 50 %: from 1 to 2 replicas
	// 12:00:30 4 × 1.00 cores: CPU at 100 % of the request over 15s against a target of 50 %: from 2 to 4 replicas
	// <nil>
}
