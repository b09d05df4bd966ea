// Package write sends series to a Prometheus-compatible server by remote write: 2.0 where the server takes it, 1.0 where
// it does not. A Client sends what it is given and says whether it arrived; a Queue takes samples without ever waiting,
// holds a bounded number of bytes of them, and counts what it had to drop.
package write

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
)

// Sample is one value of one series at one time.
type Sample struct {
	Labels labels.Labels // the name is among them
	T      int64         // milliseconds since 1970
	Start  int64         // since when a counter or histogram counts, in milliseconds; 0: not known
	V      float64
	H      *histogram.FloatHistogram // nil: V is the value
}

// Protocol is a version of remote write.
type Protocol string

// The protocols.
const (
	Auto Protocol = "auto" // 2.0 first; 1.0 from then on when the server does not take it
	V1   Protocol = "1.0"
	V2   Protocol = "2.0"
)

// Histograms is the form in which histograms are sent.
type Histograms string

// The forms of histograms.
const (
	// Native sends them as they are. VictoriaMetrics takes them too, and makes a series of each bucket.
	Native Histograms = "native"
	// Classic sends a series for each bucket in use, with the bucket's own bound as le, for servers that know no native ones.
	// Nothing is lost but the brevity.
	Classic Histograms = "classic"
)

// Config says where series go and how.
type Config struct {
	URL        string     // of the server's remote write, for example http://mimir:8080/api/v1/push
	Protocol   Protocol   // empty: Auto
	Histograms Histograms // empty: Native

	// Client carries whatever the server asks for: certificates, passwords, tokens. nil: none of them.
	Client  *http.Client
	Headers map[string]string // sent with every request, for example X-Scope-OrgID
	// Meta tells type, help and unit of a name, which 2.0 sends along; nil, or an empty one: not known.
	Meta func(name string) metadata.Metadata

	Timeout  time.Duration // of one request; 0: 30 s
	MinDelay time.Duration // before the first retry, doubled with jitter after each; 0: 100 ms
	MaxDelay time.Duration // between retries, whatever the server asks for; 0: 30 s
	Retries  int           // of one request; 0: until the caller's context ends, which is right for a Queue
	PerSend  int           // samples in one request at most; 0: 2000
}

func (c *Config) fill() error {
	var errs []error
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		errs = append(errs, errors.New("url: it does not parse: write it like http://host:9090/api/v1/write"))
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		errs = append(errs, fmt.Errorf("url %q: write it like http://host:9090/api/v1/write", u.Redacted()))
	}
	switch c.Protocol {
	case "":
		c.Protocol = Auto
	case Auto, V1, V2:
	default:
		errs = append(errs, fmt.Errorf("protocol %q: use auto, 2.0 or 1.0", c.Protocol))
	}
	switch c.Histograms {
	case "":
		c.Histograms = Native
	case Native, Classic:
	default:
		errs = append(errs, fmt.Errorf("histograms %q: use native or classic", c.Histograms))
	}
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	if c.Meta == nil {
		c.Meta = func(string) metadata.Metadata { return metadata.Metadata{} }
	}
	for _, d := range []struct {
		at   *time.Duration
		zero time.Duration
		name string
	}{{&c.Timeout, 30 * time.Second, "timeout"}, {&c.MinDelay, 100 * time.Millisecond, "least delay"}, {&c.MaxDelay, 30 * time.Second, "largest delay"}} {
		if *d.at < 0 {
			errs = append(errs, fmt.Errorf("%s %v: give a positive time", d.name, *d.at))
		}
		if *d.at == 0 {
			*d.at = d.zero
		}
	}
	if c.PerSend == 0 {
		c.PerSend = 2000
	}
	if c.PerSend < 0 || c.Retries < 0 {
		errs = append(errs, errors.New("samples per request and retries: give positive numbers"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remote write: %w", err)
	}
	return nil
}
