package exemplar

// Unsafe are limits of a store that forces nothing to disk: for tests that write a lot and kill nothing.
func (l Limits) Unsafe() Limits {
	l.unsafe = true
	return l
}
