package wire

import (
	"errors"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/frames"
)

// ReadFrame reads a message of an ingester. The result shares nothing with b. into, where it is not nil, is the part to read
// one into: its memory is used again.
func ReadFrame(b []byte, into *Part) (f Frame, err error) {
	if len(b) > MaxFrame {
		return f, frames.Malformed("%d bytes: at most %d", len(b), MaxFrame)
	}
	n := 0
	err = frames.Fields(b, func(x frames.Field) (err error) {
		var r reader
		switch x.Number {
		case frameSent:
			f.Sent = r.time(x, "sent")
		case frameHello:
			n++
			f.Hello, err = readHello(x.B)
		case framePart:
			if n++; n > 1 {
				return frames.Malformed("a frame with two messages")
			}
			if f.Part = into; f.Part == nil {
				f.Part = &Part{}
			}
			err = f.Part.read(x.B)
		}
		return errors.Join(r.err, err)
	})
	if err == nil && n != 1 {
		err = frames.Malformed("a frame with %d messages: exactly one", n)
	}
	return f, err
}

func readHello(b []byte) (*Hello, error) {
	h := &Hello{}
	var r reader
	err := frames.Fields(b, func(x frames.Field) error {
		switch x.Number {
		case helloVersion:
			h.Version = uint32(r.int(x, "version", math.MaxUint32))
		case helloName:
			h.Name = r.name(x, "the ingester's name")
		case helloInstance:
			h.Instance = x.V
		}
		return r.err
	})
	if err == nil && h.Name == "" {
		err = frames.Malformed("an ingester without a name")
	}
	return h, err
}

// ReadAnswer reads a message of the daemon.
func ReadAnswer(b []byte) (a Answer, err error) {
	if len(b) > MaxFrame {
		return a, frames.Malformed("%d bytes: at most %d", len(b), MaxFrame)
	}
	var r reader
	err = frames.Fields(b, func(x frames.Field) (err error) {
		switch x.Number {
		case answerWelcome:
			a.Welcome, err = readWelcome(x.B)
		case answerSeq:
			a.Seq = x.V
		case answerGeneration:
			a.Generation = x.V
		case answerAt:
			a.Clock.At = r.time(x, "the daemon's clock")
		case answerSent:
			a.Clock.Sent = r.time(x, "sent")
		}
		return errors.Join(r.err, err)
	})
	return a, err
}

func readWelcome(b []byte) (*Welcome, error) {
	w := &Welcome{}
	var r reader
	err := frames.Fields(b, func(x frames.Field) error {
		switch x.Number {
		case welcomeInstance:
			w.Instance = x.V
		case welcomeSeq:
			w.Seq = x.V
		case welcomeBeat:
			w.Beat = int64(r.int(x, "the beat", uint64(time.Minute)))
		case welcomeApp:
			return w.App.read(x.B)
		}
		return r.err
	})
	if err == nil && w.Beat < int64(time.Millisecond) {
		err = frames.Malformed("a beat of %v", time.Duration(w.Beat))
	}
	return w, err
}

func (a *App) read(b []byte) error {
	*a = App{}
	var r reader
	err := frames.Fields(b, func(x frames.Field) error {
		switch x.Number {
		case appGeneration:
			a.Generation = x.V
		case appEndpointService:
			a.EndpointService = r.name(x, "the endpoints' service")
		case appName:
			a.Name = r.name(x, "the application's name")
		case appService:
			if len(a.Services) == maxApp {
				return frames.Malformed("more than %d services", maxApp)
			}
			a.Services = append(a.Services, r.name(x, "a service's name"))
		case appEndpoint:
			if len(a.Endpoints) == maxApp {
				return frames.Malformed("more than %d endpoints", maxApp)
			}
			var e Endpoint
			err := e.read(x.B)
			a.Endpoints = append(a.Endpoints, e)
			return err
		}
		return r.err
	})
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, s := range a.Services {
		if s == "" || seen[s] {
			return frames.Malformed("service %q has no name, or stands twice", s)
		}
		seen[s] = true
	}
	clear(seen)
	for _, e := range a.Endpoints {
		if e.Name == "" || seen[e.Name] || int(e.Entry) >= len(a.Services) {
			return frames.Malformed("endpoint %q has no name, stands twice, or enters nowhere", e.Name)
		}
		seen[e.Name] = true
	}
	return nil
}

func (e *Endpoint) read(b []byte) error {
	var r reader
	return frames.Fields(b, func(x frames.Field) error {
		switch x.Number {
		case endpointName:
			e.Name = r.name(x, "an endpoint's name")
		case endpointEntry:
			e.Entry = uint32(r.int(x, "an endpoint's entry", maxApp))
		case endpointOperation:
			e.Operation = r.name(x, "an operation")
		case endpointObjective:
			e.Objective = x.V != 0
		case endpointLatency:
			e.Latency = int64(r.int(x, "an objective", uint64(24*time.Hour)))
		}
		return r.err
	})
}

// Of is the application.
func (a *App) Of() *foresail.App {
	app := &foresail.App{Name: a.Name, Generation: int(a.Generation)}
	for _, s := range a.Services {
		app.Services = append(app.Services, foresail.Service{Name: s})
	}
	for _, e := range a.Endpoints {
		x := foresail.Endpoint{Name: e.Name, Entry: foresail.ServiceID(e.Entry), Operation: e.Operation}
		if e.Objective {
			x.Objective = &foresail.Objective{Latency: time.Duration(e.Latency)}
		}
		app.Endpoints = append(app.Endpoints, x)
	}
	return app
}
