package readers

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"foresail.dev"
)

const nginxPage = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630948 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n"

const memcachedAnswer = "STAT pid 1\r\nSTAT cmd_get 40\r\nSTAT cmd_set 2\r\nSTAT incr_hits 1\r\nSTAT cas_hits 1\r\nSTAT version 1.6.18\r\nSTAT response_obj_count 4\r\nEND\r\n"

const redisAnswer = "# Clients\r\nconnected_clients:9\r\nblocked_clients:3\r\n# Stats\r\ntotal_commands_processed:120\r\ntotal_error_replies:5\r\n" +
	"# Commandstats\r\ncmdstat_info:calls=20,usec=9,usec_per_call=1.00\r\ncmdstat_get:calls=90,usec=1500000,usec_per_call=2.0,rejected_calls=0,failed_calls=0\r\n"

func lines(s string) func() (string, error) {
	l := line{in: bufio.NewReader(strings.NewReader(s)), left: maxAnswer}
	return l.next
}

// Each server's own example reads as what it says.
func TestParse(t *testing.T) {
	const in, arrivals, queue, errs = foresail.SignalInFlight, foresail.SignalArrivals, foresail.SignalQueue, foresail.SignalErrors
	for _, test := range []struct {
		name string
		got  func() (Reading, error)
		want Reading
	}{
		{"nginx", func() (Reading, error) { return parseNginx(nginxPage) }, Reading{Has: in | arrivals, InFlight: 184, Arrivals: 31070465, Busy: -1}},
		{"memcached", func() (Reading, error) { return parseMemcached(lines(memcachedAnswer)) }, Reading{Has: in | arrivals, InFlight: 3, Arrivals: 43, Busy: -1}},
		{"redis", func() (Reading, error) { return parseRedis(redisAnswer) }, Reading{Has: in | queue | arrivals | errs, InFlight: 3, Queue: 3, Arrivals: 100, Errors: 5, Busy: 1.5}},
	} {
		if got, err := test.got(); err != nil || got != test.want {
			t.Errorf("%s: %+v %v, want %+v", test.name, got, err, test.want)
		}
	}
}

// What is no answer of the server's is an error, and makes no numbers.
func TestParseFaults(t *testing.T) {
	for _, page := range []string{"", "<html>404</html>", strings.Replace(nginxPage, "179", "-1", 1), strings.Replace(nginxPage, "Waiting: 106", "", 1)} {
		if r, err := parseNginx(page); err == nil || r != (Reading{}) {
			t.Errorf("%q: %+v", page, r)
		}
	}
	for _, s := range []string{"ERROR\r\n", "END\r\n", "STAT cmd_get x\r\nEND\r\n", "STAT cmd_get 1\r\n", strings.Repeat("STAT a 1\r\n", 200_000), strings.Repeat("x", 2<<20)} {
		if r, err := parseMemcached(lines(s)); err == nil || r != (Reading{}) {
			t.Errorf("%.40q: %+v", s, r)
		}
	}
	if _, err := parseMemcached(lines(strings.Repeat("STAT a 1\r\n", 200_000))); !errors.Is(err, errLarge) {
		t.Error(err)
	}
	for _, s := range []string{"", "blocked_clients:1\n", strings.Replace(redisAnswer, "usec=1500000", "usec=", 1), strings.Replace(redisAnswer, "clients:3", "clients:-3", 1)} {
		if r, err := parseRedis(s); err == nil || r != (Reading{}) {
			t.Errorf("%q: %+v", s, r)
		}
	}
	for kind, address := range map[string]string{"nginx": "127.0.0.1", "postgres": "postgres://%", "mysql": "x", "redis": ""} {
		if _, err := New(kind, address, ""); err == nil {
			t.Errorf("%s at %q is taken", kind, address)
		}
	}
}

// Whatever a server answers, reading ends, and what it gives can be a count.
func FuzzParse(f *testing.F) {
	for _, s := range []string{nginxPage, memcachedAnswer, redisAnswer, "$5\r\nab\r\n\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		check := func(r Reading, err error) {
			if err != nil && r != (Reading{}) || r.InFlight < 0 || r.Queue < 0 || r.Arrivals < 0 || r.Errors < 0 || r.Completions < 0 || err == nil && r.Has == 0 {
				t.Errorf("%+v %v", r, err)
			}
		}
		check(parseNginx(s))
		check(parseMemcached(lines(s)))
		check(parseRedis(s))
		c := redis{line: line{in: bufio.NewReader(strings.NewReader(s)), left: maxAnswer}}
		var b strings.Builder
		if err := c.bulk(&b); err == nil && b.Len() > 2*len(s) {
			t.Error("more was read than there is")
		} else if errors.Is(err, io.ErrNoProgress) {
			t.Error(err)
		}
	})
}
