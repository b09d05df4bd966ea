package frames

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Daemon is where a stream goes.
type Daemon struct {
	Address string                 // host:port
	TLS     *tls.Config            // nil: in the clear, which is for loopback
	Token   func() (string, error) // the bearer token, asked for at each new stream, so that it may change; nil: none
	// Backoff is the wait after the first failure; it grows up to Longest.
	Backoff, Longest time.Duration
}

// Dial prepares a connection; nothing is tried yet. window bounds what it holds that the daemon has not read, largest what
// the daemon may answer, both in bytes.
func (d *Daemon) Dial(window int32, largest int) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if d.TLS != nil {
		creds = credentials.NewTLS(d.TLS)
	}
	o := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec{}), grpc.MaxCallRecvMsgSize(largest)),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 5 * time.Second,
			Backoff: backoff.Config{BaseDelay: d.Backoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: d.Longest}}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithDisableServiceConfig(),
	}
	if d.Token != nil {
		o = append(o, grpc.WithPerRPCCredentials(bearer{d.Token, d.TLS != nil}))
	}
	conn, err := grpc.NewClient("passthrough:///"+d.Address, o...)
	if err != nil {
		return nil, fmt.Errorf("daemon's address %q: %w", d.Address, err)
	}
	return conn, nil
}

// Pause is how long to wait after so many failures in a row: a random half of it, so that those of a cluster don't all come
// at once.
func (d *Daemon) Pause(failures int) time.Duration {
	wait := min(d.Backoff<<min(failures, 16), d.Longest)
	return wait/2 + rand.N(wait/2+1)
}

// Sleep waits, and reports whether ctx still goes on.
func Sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Reason is why a stream ended, for a person, without what gRPC puts around it; nil: the daemon ended it. nobody is what it
// means that what listens does not know the stream.
func (d *Daemon) Reason(err error, nobody string) string {
	if err == nil {
		return "the daemon ended the stream"
	}
	if d.TLS == nil && strings.Contains(err.Error(), "server preface") {
		return "what listens there does not answer in the clear: does it want TLS? name its CA"
	}
	if s, ok := status.FromError(err); ok {
		switch s.Code() {
		case codes.Unauthenticated:
			return "the daemon does not know the token (" + s.Message() + ")"
		case codes.PermissionDenied:
			return "the token may not report (" + s.Message() + ")"
		case codes.Unimplemented:
			return nobody
		}
		return s.Message()
	}
	return err.Error()
}

// bearer shows a token.
type bearer struct {
	token  func() (string, error)
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := b.token()
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.secure }
