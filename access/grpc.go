package access

import (
	"context"
	"crypto/tls"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Options are what a gRPC server needs to let in, on every method, only those with a role: interceptors, and TLS where
// there is a configuration. Without either they are none.
func (t *Tokens) Options(need Role, c *tls.Config) []grpc.ServerOption {
	var out []grpc.ServerOption
	if c != nil {
		out = append(out, grpc.Creds(credentials.NewTLS(c)))
	}
	if t != nil {
		out = append(out, grpc.ChainUnaryInterceptor(t.UnaryInterceptor(need)), grpc.ChainStreamInterceptor(t.StreamInterceptor(need)))
	}
	return out
}

// UnaryInterceptor lets in calls of those who have a role; others get Unauthenticated, PermissionDenied or ResourceExhausted.
func (t *Tokens) UnaryInterceptor(need Role) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		ctx, err := t.Call(ctx, need)
		if err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

// StreamInterceptor does the same for streams. A stream whose token is revoked ends at the next message it receives. gRPC calls
// stream interceptors only for methods whose description says that one side streams.
func (t *Tokens) StreamInterceptor(need Role) grpc.StreamServerInterceptor {
	return func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		ctx, err := t.Call(s.Context(), need)
		if err != nil {
			return err
		}
		return next(srv, &guarded{s, ctx})
	}
}

// Call lets a gRPC call in and returns its context with who makes it (see From), or says why not, as a status. Handlers of methods that
// no interceptor sees ask it themselves.
func (t *Tokens) Call(ctx context.Context, need Role) (context.Context, error) {
	if t == nil {
		return ctx, nil
	}
	var c caller
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		c.headers = md.Get("authorization")
	}
	if p, ok := peer.FromContext(ctx); ok {
		if p.Addr != nil {
			c.addr = p.Addr.String()
		}
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			c.state = &info.State
		}
	}
	who, refusal := t.admit(c, need)
	if refusal != nil {
		return nil, status.Error(refusal.Code, refusal.Text)
	}
	return context.WithValue(ctx, whoKey{}, who), nil
}

// guarded is a stream of somebody who was let in.
type guarded struct {
	grpc.ServerStream
	ctx context.Context
}

// Context says who it is.
func (g *guarded) Context() context.Context { return g.ctx }

// RecvMsg ends the stream of one whose token is no longer good.
func (g *guarded) RecvMsg(m any) error {
	if err := g.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if !Still(g.ctx) {
		return status.Error(unknown.Code, unknown.Text)
	}
	return nil
}

// Bearer sends a token with every call of a gRPC client. It refuses to without TLS unless plain says that the
// connection stays on this machine.
func Bearer(token Secret, plain bool) credentials.PerRPCCredentials {
	return bearerCredentials{token, plain}
}

type bearerCredentials struct {
	token Secret
	plain bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearerCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token.Reveal()}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b bearerCredentials) RequireTransportSecurity() bool { return !b.plain }
