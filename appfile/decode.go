package appfile

import (
	"encoding"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// ReadFile reads a configuration file's content and decodes it; see Decode. A file that can't be read is a plain error.
func ReadFile(path string, into any) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	return Decode(path, data, into)
}

// readFile reads a file, and no more of it than tells that it is too long: it may be a device without an end.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

// Decode reads a configuration file into the struct that into points to, keeping what the file leaves out as it was.
// The error is nil or Faults, with everything wrong; name is the file's name in them.
//
// Fields are named by their `yaml` tag, and one without a tag is not read. A `rule` tag holds, separated by commas:
//
//	required       the file must have it, and not empty
//	min=X  max=X   closed ends for numbers, durations and sizes
//	above=X        an open lower end
//	oneof=a|b      one of these texts
//
// Types: bool, integers, floats, string, time.Duration ("1m30s", "7d"), Bytes, Share, anything with UnmarshalText (a
// struct that has it may be written as one value or as a mapping), pointers (nil where left out), slices, maps with
// string keys, OrderedMap, structs (embedded ones lie flat), and any.
// A type may implement Checker. Decode panics when into is no pointer to a struct, or holds a type it can't read.
func Decode(name string, data []byte, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("appfile: Decode into %T, want a pointer to a struct", into))
	}
	c := newCollector(name)
	decodeInto(c, data, v.Elem())
	return c.err()
}

// decodeInto returns the place of the whole file, and whether there is one.
func decodeInto(c *collector, data []byte, v reflect.Value) (Place, bool) {
	root := parse(c, data)
	if root == nil {
		return Place{}, false
	}
	at := Place{c: c, node: root}
	decode(at, v, nil)
	return at, true
}

// OrderedMap is a mapping whose keys keep the file's order.
type OrderedMap[V any] []Entry[V]

// Entry is one key of an OrderedMap.
type Entry[V any] struct {
	Key   string
	Value V
}

func (OrderedMap[V]) ordered() {}

// Get finds a value; nil where the key is not there.
func (m OrderedMap[V]) Get(key string) *V {
	for i := range m {
		if m[i].Key == key {
			return &m[i].Value
		}
	}
	return nil
}

// Keys lists the keys in order.
func (m OrderedMap[V]) Keys() []string {
	keys := make([]string, len(m))
	for i := range m {
		keys[i] = m[i].Key
	}
	return keys
}

// nodeReader is a type that has more than one form in a file.
type nodeReader interface{ read(at Place) }

// decode reads the node at a place into v, under the rules of the field that v is.
func decode(at Place, v reflect.Value, rules []rule) {
	n := at.node
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		decode(at, v.Elem(), rules)
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" && v.Kind() != reflect.Interface {
		at.Faultf("is empty; give it a value or leave it out")
		return
	}
	before := len(at.c.faults)
	defer func() {
		if len(at.c.faults) == before {
			check(at, v, rules)
		}
		if k, ok := v.Addr().Interface().(Checker); ok {
			k.Check(at)
		}
	}()
	switch x := v.Addr().Interface().(type) {
	case nodeReader:
		x.read(at)
		return
	case *time.Duration:
		if text, ok := scalar(at, "a duration like 20ms"); ok {
			d, err := parseDuration(text)
			*x = d
			report(at, err)
		}
		return
	case encoding.TextUnmarshaler:
		if n.Kind == yaml.MappingNode && v.Kind() == reflect.Struct && len(fieldsOf(v.Type())) > 0 {
			break
		}
		if text, ok := scalar(at, "a single value"); ok {
			report(at, x.UnmarshalText([]byte(text)))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		decodeStruct(at, v)
	case reflect.Map:
		decodeMap(at, v)
	case reflect.Slice:
		if _, ok := v.Interface().(interface{ ordered() }); ok {
			decodeOrdered(at, v)
			return
		}
		if n.Kind != yaml.SequenceNode {
			at.Faultf("is %s, must be a list", kindName(n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, e := range n.Content {
			decode(Place{c: at.c, node: e, path: index(at.path, i)}, v.Index(i), elementRules(rules))
		}
	case reflect.Interface:
		if err := n.Decode(v.Addr().Interface()); err != nil {
			at.Faultf("cannot be read: %v", err)
		}
	default:
		decodeScalar(at, v)
	}
}

func decodeScalar(at Place, v reflect.Value) {
	want := map[reflect.Kind]string{reflect.Bool: "true or false", reflect.String: "text", reflect.Float64: "a number",
		reflect.Float32: "a number"}[v.Kind()]
	if want == "" {
		want = "a whole number"
	}
	text, ok := scalar(at, want)
	if !ok {
		return
	}
	tag := at.node.ShortTag()
	switch v.Kind() {
	case reflect.String:
		if tag != "!!str" && tag != "!!timestamp" {
			at.Faultf("is %s, must be text; put it in quotes", kindName(at.node))
			return
		}
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			at.Faultf("is %q, must be true or false", text)
			return
		}
		v.SetBool(text == "true")
	case reflect.Float64, reflect.Float32:
		f, err := parseFloat(text)
		report(at, err)
		v.SetFloat(f)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := parseInt(text)
		if err == nil && v.OverflowInt(i) {
			err = fmt.Errorf("is %s, which is too large", text)
		}
		report(at, err)
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, err := parseInt(text)
		if err == nil && (i < 0 || v.OverflowUint(uint64(i))) {
			err = fmt.Errorf("is %s, out of range", text)
		}
		report(at, err)
		v.SetUint(uint64(max(i, 0)))
	default:
		panic(fmt.Sprintf("appfile: %s: cannot read into %s", at.path, v.Type()))
	}
}

// scalar is a node's text, or a fault that says what was wanted.
func scalar(at Place, want string) (string, bool) {
	if at.node.Kind != yaml.ScalarNode {
		at.Faultf("is %s, must be %s", kindName(at.node), want)
		return "", false
	}
	return at.node.Value, true
}

func report(at Place, err error) {
	if err != nil {
		at.Faultf("%v", err)
	}
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return n.Value
	}
	return fmt.Sprintf("the text %q", n.Value)
}

// entries calls f with each key of a mapping and the place of its value; anything else is a fault.
func entries(at Place, f func(key *yaml.Node, value Place)) {
	if at.node.Kind != yaml.MappingNode {
		at.Faultf("is %s, must be a mapping", kindName(at.node))
		return
	}
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		k := at.node.Content[i]
		f(k, Place{at.c, at.node.Content[i+1], join(at.path, k.Value), k})
	}
}

func decodeMap(at Place, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("appfile: %s: a map's keys must be text, not %s", at.path, v.Type().Key()))
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	entries(at, func(k *yaml.Node, value Place) {
		e := reflect.New(v.Type().Elem()).Elem()
		decode(value, e, nil)
		v.SetMapIndex(reflect.ValueOf(k.Value).Convert(v.Type().Key()), e)
	})
}

func decodeOrdered(at Place, v reflect.Value) {
	v.SetLen(0)
	if at.node.Kind == yaml.MappingNode { // in place: a Checker may keep pointers
		v.Set(reflect.MakeSlice(v.Type(), len(at.node.Content)/2, len(at.node.Content)/2))
	}
	i := 0
	entries(at, func(k *yaml.Node, value Place) {
		e := v.Index(i)
		e.Field(0).SetString(k.Value)
		decode(value, e.Field(1), nil)
		i++
	})
}

// field is one field of a struct that files can name.
type field struct {
	name  string
	index []int
	rules []rule
}

// fieldsOf lists what a mapping for a struct may hold, embedded structs flattened.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				out = append(out, inner)
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		out = append(out, field{name, []int{i}, parseRules(f.Tag.Get("rule"))})
	}
	return out
}

func decodeStruct(at Place, v reflect.Value) {
	fields := fieldsOf(v.Type())
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	present := map[string]bool{}
	entries(at, func(k *yaml.Node, value Place) {
		i := slices.Index(names, k.Value)
		if i < 0 {
			value.Key().Faultf("is not a known field%s", didYouMean(k.Value, names))
			return
		}
		present[k.Value] = true
		decode(value, v.FieldByIndex(fields[i].index), fields[i].rules)
		if a, ok := v.FieldByIndex(fields[i].index).Interface().(assumed); ok {
			a.checkNames(value, names)
		}
	})
	if at.node.Kind != yaml.MappingNode {
		return
	}
	for _, f := range fields {
		if !present[f.name] && slices.ContainsFunc(f.rules, func(r rule) bool { return r.verb == "required" }) {
			at.At(f.name).Faultf("is missing")
		}
	}
}
