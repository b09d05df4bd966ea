package readers

import (
	"context"
	"errors"
	"fmt"

	"foresail.dev"
)

// Reading is what a server told at one instant.
type Reading struct {
	Has      foresail.Signals // which of the fields below it told
	InFlight float64          // requests accepted and not answered, the reader's own left out
	Queue    float64          // of those, waiting
	// Counters since the server began; they fall when it begins anew.
	Arrivals, Completions, Errors float64
	// Busy is the time that was spent on requests since the server began, in seconds, where it tells that instead of how
	// many it works on; negative: it doesn't.
	Busy float64
}

// Reader asks one server. Its methods are called by one goroutine.
type Reader interface {
	// Read asks. After an error the next Read begins anew. ctx bounds how long it takes.
	Read(ctx context.Context) (Reading, error)
	Close() error
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 1 << 20

var errLarge = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)

// Kinds are the kinds of servers that New knows.
func Kinds() []string { return []string{"nginx", "memcached", "redis", "postgres"} }

// New makes a reader of a server of the given kind at address: for nginx the URL of its stub_status page, for PostgreSQL a
// connection string or URL, for the others host:port or the path of a unix socket. Nothing is asked yet.
func New(kind, address, password string) (Reader, error) {
	if address == "" {
		return nil, errors.New("no address is given")
	}
	switch kind {
	case "nginx":
		return newNginx(address)
	case "memcached":
		return &memcached{line: line{address: address}}, nil
	case "redis":
		return &redis{line: line{address: address}, password: password}, nil
	case "postgres":
		return newPostgres(address, password)
	}
	return nil, fmt.Errorf("unknown kind %q: use nginx, memcached, redis or postgres", kind)
}
