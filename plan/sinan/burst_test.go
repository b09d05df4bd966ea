package sinan

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
)

// careless says that everything is safe: only the floors hold then.
func careless() *oracle {
	return &oracle{limit: 500, margin: 10, try: func([]tail.Step, []float64) (p tail.Prediction) { return p }}
}

// A service that is busy for one second in thirty is not lowered to where that second would fill it, whatever its mean is.
func TestOneBusySecondInAMinute(t *testing.T) {
	const quiet, busy = 0.05, 0.6
	w := newWorld(t, 2, careless(), Config{}, func(id foresail.ServiceID, at time.Duration) float64 {
		if id == 0 && int(at/time.Second)%30 == 7 {
			return busy
		}
		return quiet
	})
	for s := range 240 {
		w.seconds(1)
		if have := w.Have(0).Cores(); s > 60 && have < busy/DefaultUtilisation {
			t.Fatalf("after %d s the service has %.2f cores, and used %.1f in a second of the last minute", s, have, busy)
		}
	}
	if one, other := w.Have(0).Cores(), w.Have(1).Cores(); other >= one || one > 2*busy {
		t.Errorf("the service with busy seconds has %.2f cores, the other %.2f", one, other)
	}
}

// One whole second near its limit raises a service, though the mean of three seconds is below the cap.
func TestAFullSecondRaises(t *testing.T) {
	full := false
	w := newWorld(t, 2, careless(), Config{}, func(id foresail.ServiceID, _ time.Duration) float64 {
		if id == 0 && full {
			return 1
		}
		return 0.05
	})
	w.seconds(120)
	before := w.Have(0).Cores()
	full = true
	w.seconds(1)
	full = false
	if after := w.Have(0).Cores(); after < before/DefaultUtilisation {
		t.Errorf("%.2f cores after a full second, %.2f before", after, before)
	}
}
