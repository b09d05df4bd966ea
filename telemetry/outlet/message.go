package outlet

import (
	"fmt"
	"time"
)

// Schema is what a message is, on the wire.
const Schema = "foresail.dev/alarm/v1"

// Status is whether a danger lasts.
type Status string

// The states.
const (
	Danger Status = "danger"
	Over   Status = "over"
)

// Message is one alarm, or that its danger is over.
type Message struct {
	Schema      string     `json:"schema"`
	ID          string     `json:"id"` // the same of both messages of an alarm
	Status      Status     `json:"status"`
	Application string     `json:"application"`
	Service     string     `json:"service"` // that is expected to start the violation
	Manager     string     `json:"manager"`
	At          time.Time  `json:"at"`                 // when it was foreseen
	Ended       *time.Time `json:"ended,omitempty"`    // when the danger was over
	Probability float64    `json:"probability"`        // of a violation within within_s, 0..1
	Share       float64    `json:"share"`              // of that, the probability that it starts at the service, 0..1
	Within      float64    `json:"within_s"`           // how long there is to act at most, in seconds
	Resource    string     `json:"resource,omitempty"` // that is at fault; absent: counters do not tell
	Evidence    string     `json:"evidence,omitempty"` // for that
	Action      string     `json:"action"`             // recommended, or what has been done already
	Acted       bool       `json:"acted"`              // it has been done
	Text        string     `json:"text"`               // one sentence for people

	again bool // it was told before, and the danger lasts
}

// Summary is what happens, in a line.
func (m *Message) Summary() string {
	if m.Status == Over {
		return fmt.Sprintf("%s: the danger at %s is over", m.Application, m.Service)
	}
	return fmt.Sprintf("%s: %s is about to start a violation within %v (probability %.2f)", m.Application, m.Service, seconds(m.Within), m.Probability)
}

func seconds(s float64) time.Duration { return time.Duration(s * 1e9).Round(time.Millisecond) }
