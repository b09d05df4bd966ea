package erms

import "time"

type state struct {
	Last     time.Time
	Explored int
}
