package history

// Lost counts the snapshots that the history does not have: refused by it, and dropped since it was slow; ok is false where none is kept.
func (k *Keeping) Lost() (lost func() (refused, dropped int), ok bool) {
	if k == nil || k.recorder == nil {
		return nil, false
	}
	return k.recorder.Lost, true
}
