package seriestest

import (
	"fmt"
	"maps"
	"reflect"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Same says where two snapshots differ by more than rounding: 1e-9 of a float, a microsecond of a replica's start; nil:
// nowhere. The order of replicas and nodes does not count, and an empty sketch is as good as none.
func Same(a, b *foresail.Snapshot) error {
	x, y := foresail.Merge(a), foresail.Merge(b) // copies
	x.Stale, y.Stale = a.Stale, b.Stale
	order(x)
	order(y)
	return walk("snapshot", reflect.ValueOf(*x), reflect.ValueOf(*y))
}

func walk(path string, a, b reflect.Value) error {
	switch v := a.Interface().(type) {
	case *sketch.Sketch:
		return sameSketch(path, v, b.Interface().(*sketch.Sketch))
	case *foresail.Form:
		if w := b.Interface().(*foresail.Form); v.Key() != w.Key() {
			return fmt.Errorf("%s: %s and %s", path, v.Key(), w.Key())
		}
		return nil
	case time.Time:
		if d := v.Sub(b.Interface().(time.Time)).Abs(); d > time.Microsecond {
			return fmt.Errorf("%s: %v and %v", path, v, b.Interface())
		}
		return nil
	}
	switch a.Kind() {
	case reflect.Float64:
		if !near(a.Float(), b.Float()) {
			return fmt.Errorf("%s: %v and %v", path, a.Float(), b.Float())
		}
	case reflect.Struct:
		for i := range a.NumField() {
			if err := walk(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		if a.Len() != b.Len() {
			return fmt.Errorf("%s: %d and %d: %+v and %+v", path, a.Len(), b.Len(), a, b)
		}
		for i := range a.Len() {
			if err := walk(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		if x, y := a.Interface().(map[string]float64), b.Interface().(map[string]float64); !maps.Equal(x, y) {
			return fmt.Errorf("%s: %v and %v", path, x, y)
		}
	case reflect.Pointer:
		if a.IsNil() != b.IsNil() {
			return fmt.Errorf("%s: %v and %v", path, a, b)
		}
		if !a.IsNil() {
			return walk(path, a.Elem(), b.Elem())
		}
	default:
		if !a.Equal(b) {
			return fmt.Errorf("%s: %v and %v", path, a, b)
		}
	}
	return nil
}

func sameSketch(path string, a, b *sketch.Sketch) error {
	if a.Count() == 0 && b.Count() == 0 {
		return nil
	}
	if (a == nil) != (b == nil) || !near(a.Count(), b.Count()) || !near(a.Sum(), b.Sum()) || !near(a.Zero(), b.Zero()) {
		return fmt.Errorf("%s: %+v and %+v", path, a, b)
	}
	x, y := maps.Collect(a.Buckets()), maps.Collect(b.Buckets())
	for i, n := range x {
		if m, ok := y[i]; !ok || !near(n, m) {
			return fmt.Errorf("%s: bucket %d: %v and %v", path, i, n, m)
		}
	}
	if len(x) != len(y) {
		return fmt.Errorf("%s: buckets %v and %v", path, x, y)
	}
	return nil
}
