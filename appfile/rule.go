package appfile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// rule is one entry of a `rule` tag.
type rule struct{ verb, arg string }

func parseRules(tag string) []rule {
	if tag == "" {
		return nil
	}
	var out []rule
	for _, part := range strings.Split(tag, ",") {
		verb, arg, _ := strings.Cut(part, "=")
		out = append(out, rule{verb, arg})
	}
	return out
}

// elementRules are what a list's rules ask of each element: all but its being there.
func elementRules(rules []rule) []rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r rule) bool { return r.verb == "required" })
}

// check applies rules to a value that was read without a fault.
func check(at Place, v reflect.Value, rules []rule) {
	for _, r := range rules {
		switch r.verb {
		case "required":
			if k := v.Kind(); (k == reflect.Slice || k == reflect.Map || k == reflect.String) && v.Len() == 0 {
				at.Faultf("must not be empty")
			}
		case "oneof":
			known := strings.Split(r.arg, "|")
			if !slices.Contains(known, v.String()) {
				at.Faultf("is %q, must be one of %s", v.String(), strings.Join(known, ", "))
			}
		case "min", "max", "above":
			got, limit, ok := measure(v, r.arg)
			switch {
			case !ok: // a list: its elements are checked
			case r.verb == "min" && got < limit:
				at.Faultf("is %s, must be at least %s", at.node.Value, r.arg)
			case r.verb == "max" && got > limit:
				at.Faultf("is %s, must be at most %s", at.node.Value, r.arg)
			case r.verb == "above" && got <= limit:
				at.Faultf("is %s, must be above %s", at.node.Value, r.arg)
			}
		default:
			panic(fmt.Sprintf("appfile: %s: no rule is called %q", at.path, r.verb))
		}
	}
}

// measure reads a value and a rule's limit on one scale.
func measure(v reflect.Value, limit string) (got, bound float64, ok bool) {
	var err error
	switch x := v.Interface().(type) {
	case time.Duration:
		var d time.Duration
		d, err = parseDuration(limit)
		got, bound = float64(x), float64(d)
	case Bytes:
		var b int64
		b, err = parseBytes(limit)
		got, bound = float64(x), float64(b)
	default:
		bound, err = parseFloat(limit)
		switch {
		case v.CanInt():
			got = float64(v.Int())
		case v.CanUint():
			got = float64(v.Uint())
		case v.CanFloat():
			got = v.Float()
		default:
			return 0, 0, false
		}
	}
	if err != nil {
		panic(fmt.Sprintf("appfile: a rule's limit: %v", err))
	}
	return got, bound, true
}
