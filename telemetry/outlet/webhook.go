package outlet

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"foresail.dev/access"
)

// SignatureHeader carries the signature of a webhook's request: "t=SECONDS,v1=HEX", where HEX is HMAC-SHA256 of "SECONDS.BODY" with
// the secret, and SECONDS when it was sent, since 1970.
const SignatureHeader = "X-Foresail-Signature"

// Webhook posts each Message as JSON.
type Webhook struct {
	url, name string
	client    *http.Client
	headers   map[string]string
	secret    access.Secret
	now       func() time.Time
}

// NewWebhook checks an address. Headers go with every request; with a secret each is signed.
func NewWebhook(url string, client *http.Client, headers map[string]access.Secret, secret access.Secret) (*Webhook, error) {
	u, shown, err := address(url)
	if err != nil {
		return nil, err
	}
	return &Webhook{url: u.String(), name: "webhook " + shown, client: client, headers: access.Revealed(headers), secret: secret, now: time.Now}, nil
}

// Name implements Sender.
func (w *Webhook) Name() string { return w.name }

// Send implements Sender.
func (w *Webhook) Send(ctx context.Context, m *Message) error {
	if m.again {
		return nil // once is enough
	}
	body, err := json.Marshal(m)
	if err != nil {
		return &Refused{err.Error()}
	}
	headers := w.headers
	if !w.secret.IsZero() {
		headers = map[string]string{SignatureHeader: Sign(w.secret, w.now(), body)}
		for name, v := range w.headers {
			headers[name] = v
		}
	}
	return post(ctx, w.client, w.url, headers, body)
}

// Sign is the signature of a body that is sent at a time.
func Sign(secret access.Secret, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(sum(secret, t, body))
}

func sum(secret access.Secret, t string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret.Reveal()))
	h.Write([]byte(t + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Verify tells what is wrong with a request's signature at a time: nil: it was made with the secret, for this body, and is not older,
// or newer, than within.
func Verify(secret access.Secret, header string, body []byte, now time.Time, within time.Duration) error {
	t, given, ok := strings.Cut(header, ",")
	t, okT := strings.CutPrefix(t, "t=")
	given, okV := strings.CutPrefix(given, "v1=")
	at, err := strconv.ParseInt(t, 10, 64)
	mac, merr := hex.DecodeString(given)
	if !ok || !okT || !okV || err != nil || merr != nil {
		return errors.New("the signature is not of the form t=SECONDS,v1=HEX")
	}
	if !hmac.Equal(mac, sum(secret, t, body)) {
		return errors.New("the signature is not of this body and secret")
	}
	if d := now.Sub(time.Unix(at, 0)); d > within || d < -within {
		return errors.New("the signature is of another time: the request may have been sent again by somebody else")
	}
	return nil
}
