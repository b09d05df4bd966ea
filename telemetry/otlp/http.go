package otlp

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"foresail.dev/access"
	"foresail.dev/telemetry"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	typeProto = "application/x-protobuf"
	typeJSON  = "application/json"
	path      = "/v1/traces"
)

func (r *Receiver) newHTTP() *http.Server {
	mux := http.NewServeMux()
	for _, s := range r.signals() {
		mux.HandleFunc(s.path, func(w http.ResponseWriter, req *http.Request) { r.serve(s, w, req) })
	}
	return &http.Server{
		Handler:           r.refuseForeign(r.admit(mux)),
		ReadHeaderTimeout: min(5*time.Second, r.cfg.ReadTime),
		ReadTimeout:       r.cfg.ReadTime,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		TLSConfig:         r.cfg.TLS,
		ErrorLog:          access.ErrorLog(r.cfg.Log),
	}
}

// admit lets senders in before anything of a request's body is read.
func (r *Receiver) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		in, refusal := r.cfg.Tokens.Request(req, access.Write)
		if refusal != nil {
			r.stats.denied.Add(1)
			refusal.Headers(w.Header())
			fail(w, typeOf(req), &failure{refusal.Status, refusal.Code, refusal.Text})
			return
		}
		next.ServeHTTP(w, in)
	})
}

// failure is an answer other than success.
type failure struct {
	http int
	code codes.Code
	text string
}

func (f *failure) Error() string { return f.text }

func (r *Receiver) serve(sig *signal, w http.ResponseWriter, req *http.Request) {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		fail(w, typeJSON, &failure{http.StatusMethodNotAllowed, codes.Unimplemented, "send " + sig.name + " with POST"})
		return
	}
	if err != nil || kind != typeProto && kind != typeJSON {
		r.stats.malformed.Add(1)
		fail(w, typeJSON, &failure{http.StatusUnsupportedMediaType, codes.InvalidArgument, "the content type must be " + typeProto + " or " + typeJSON})
		return
	}
	conn := http.NewResponseController(w)
	s, ok := r.enter(func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // a connection that is gone needs no deadline
	if !ok {
		busy(w, kind)
		return
	}
	defer s.leave()
	res, err := r.receive(sig, w, req, kind, s)
	if err != nil {
		var f *failure
		switch {
		case errors.Is(err, errPutOff):
			busy(w, kind)
			return
		case !errors.As(err, &f):
			f = &failure{http.StatusBadRequest, codes.InvalidArgument, "malformed OTLP request: " + err.Error()}
		}
		fail(w, kind, f)
		return
	}
	reply(w, kind, sig.answer(res))
}

// errPutOff says that a request's slot was taken while it was read.
var errPutOff = errors.New("put off")

func busy(w http.ResponseWriter, kind string) {
	w.Header().Set("Retry-After", "1")
	fail(w, kind, &failure{http.StatusServiceUnavailable, codes.Unavailable, "the receiver is busy: send again later"})
}

// receive reads a request's body and hands it on.
func (r *Receiver) receive(sig *signal, w http.ResponseWriter, req *http.Request, kind string, s *slot) (telemetry.Result, error) {
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		buf.Reset()
		buffers.Put(buf)
	}()
	err := r.read(buf, w, req)
	switch {
	case !s.arrived():
		r.stats.slow.Add(1)
		return telemetry.Result{}, errPutOff
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.stats.slow.Add(1)
		return telemetry.Result{}, &failure{http.StatusRequestTimeout, codes.DeadlineExceeded,
			fmt.Sprintf("the request did not come whole within %s: send smaller batches", r.cfg.ReadTime)}
	case err != nil:
		r.stats.malformed.Add(1)
		return telemetry.Result{}, err
	}
	if kind == typeProto {
		return sig.take(buf.Bytes())
	}
	b, err := sig.fromJSON(buf.Bytes())
	if err != nil {
		r.stats.malformed.Add(1)
		return telemetry.Result{}, err
	}
	return sig.take(b)
}

// read reads the body, decompressed, up to the limit.
func (r *Receiver) read(buf *bytes.Buffer, w http.ResponseWriter, req *http.Request) error {
	limit := int64(r.cfg.MaxRequestBytes)
	var body io.Reader = http.MaxBytesReader(w, req.Body, limit)
	switch enc := req.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip":
		z, ok := unzippers.Get().(*gzip.Reader)
		if !ok {
			z = new(gzip.Reader)
		}
		defer unzippers.Put(z)
		if err := z.Reset(body); err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		body = z
	default:
		return &failure{http.StatusUnsupportedMediaType, codes.InvalidArgument, "the content encoding must be gzip or identity"}
	}
	n, err := buf.ReadFrom(io.LimitReader(body, limit+1))
	var large *http.MaxBytesError
	if n > limit || errors.As(err, &large) {
		return &failure{http.StatusRequestEntityTooLarge, codes.ResourceExhausted,
			fmt.Sprintf("the request is larger than %d bytes: send smaller batches", limit)}
	}
	return err
}

var (
	buffers   = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	unzippers sync.Pool
)

// protoOf turns a JSON request into the protobuf form, so that both are scanned by the same code.
func protoOf(b []byte) ([]byte, error) {
	td, err := DecodeJSON(b)
	if err != nil {
		return nil, err
	}
	return ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
}

// maxBrackets is more than JSON has open at once where values nest up to maxDepth.
const maxBrackets = 256

// tooDeep tells whether JSON has more brackets open at once than a value may nest. The decoder has no such limit, and
// would grow its stack with the request.
func tooDeep(b []byte) bool {
	open, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '{' || c == '[':
			if open++; open > maxBrackets {
				return true
			}
		case c == '}' || c == ']':
			open--
		}
	}
	return false
}

func reply(w http.ResponseWriter, kind string, a answer) {
	w.Header().Set("Content-Type", kind)
	body := a.proto()
	if kind == typeJSON {
		body = a.json()
	}
	_, _ = w.Write(body) // a client that is gone sends again
}

// typeOf is the encoding of a request's answer where its own is not looked at.
func typeOf(req *http.Request) string {
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err == nil && kind == typeProto {
		return typeProto
	}
	return typeJSON
}

// fail answers with a google.rpc.Status in the request's own encoding.
func fail(w http.ResponseWriter, kind string, f *failure) {
	const most = 1000 // bytes; the text may quote the request
	s := &spb.Status{Code: int32(f.code), Message: strings.ToValidUTF8(f.text[:min(len(f.text), most)], "\uFFFD")}
	marshal := proto.Marshal
	if kind == typeJSON {
		marshal = protojson.Marshal
	}
	body, err := marshal(s)
	if err != nil {
		panic(err) // the text is valid UTF-8, and nothing else can be wrong
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(f.http)
	_, _ = w.Write(body)
}
