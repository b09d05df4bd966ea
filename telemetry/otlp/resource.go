package otlp

// resource is what the scanner reads of a resource. Of an attribute that comes twice the first one counts, as in pdata.
type resource struct {
	service                 []byte
	instance, pod, host     []byte
	hasService, hasInstance bool
	hasPod, hasHost         bool
}

func (r *resource) replica() []byte {
	switch {
	case len(r.instance) > 0:
		return r.instance
	case len(r.pod) > 0:
		return r.pod
	}
	return r.host
}

func (r *resource) scan(b []byte) error {
	for pos := 0; pos < len(b); {
		t, next, err := tag(b, pos)
		if err != nil {
			return err
		}
		if pos, err = checkField(b, next, t, &resourceShape, 0); err != nil {
			return err
		}
		if t == 1<<3|wireBytes {
			kv, _, _ := bytesField(b, next, t)
			r.attribute(kv)
		}
	}
	return nil
}

// attribute takes an attribute that has been checked.
func (r *resource) attribute(b []byte) {
	var key, value []byte
	for pos := 0; pos < len(b); {
		t, next, _ := tag(b, pos)
		switch t {
		case 1<<3 | wireBytes:
			key, pos, _ = bytesField(b, next, t)
		case 2<<3 | wireBytes:
			var v []byte
			v, pos, _ = bytesField(b, next, t)
			value = stringValue(v, value)
		default:
			pos, _ = skip(b, next, t&7)
		}
	}
	set := func(dst *[]byte, has *bool) {
		if !*has {
			*dst, *has = value, true
		}
	}
	switch string(key) {
	case "service.name":
		set(&r.service, &r.hasService)
	case "service.instance.id":
		set(&r.instance, &r.hasInstance)
	case "k8s.pod.name":
		set(&r.pod, &r.hasPod)
	case "host.name":
		set(&r.host, &r.hasHost)
	}
}

// stringValue is the string in a value that has been checked, nil when it is of another kind; without any value field
// it stays what it was.
func stringValue(b []byte, was []byte) []byte {
	for pos := 0; pos < len(b); {
		t, next, _ := tag(b, pos)
		switch n := t >> 3; {
		case t == 1<<3|wireBytes:
			was, pos, _ = bytesField(b, next, t)
		case n >= 2 && n <= 8:
			was = nil
			pos, _ = skip(b, next, t&7)
		default:
			pos, _ = skip(b, next, t&7)
		}
	}
	return was
}
