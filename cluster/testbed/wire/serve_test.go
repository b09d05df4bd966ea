package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestServe(t *testing.T) {
	for _, test := range []struct {
		name, orders string
		end          error // sent when told to drain
		code         int
		told         string
	}{
		{"drained", `{"drain":true}`, nil, 0, ""},
		{"the parent is gone", "", nil, 1, ""},
		{"fails later", `{"drain":true}`, errors.New("no port"), 1, `{"fault":"no port"}`},
		{"an order fails", `{"routes":{}}`, nil, 1, `{"fault":"no routes"}`},
		{"no order", "}", nil, 1, `"fault":"read message: `},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			hold := make(chan struct{})
			defer close(hold)
			code := Serve(strings.NewReader(test.orders), NewWriter(&out), func(m ToChild, ended chan<- error) error {
				if m.Drain {
					ended <- test.end
					<-hold // the parent is still there
				}
				return errors.New("no routes")
			})
			if code != test.code || !strings.Contains(out.String(), test.told) || test.told == "" && out.Len() > 0 {
				t.Errorf("code %d, told %q", code, &out)
			}
		})
	}
}
