package adapting

// caughtUp returns when the worker has looked at all that it was given.
func (a *Adapter) caughtUp() {
	done := make(chan struct{})
	a.seconds <- second{done: done}
	<-done
}

// settle returns when, besides, no attempt is under way.
func (a *Adapter) settle() {
	a.caughtUp()
	for a.training.Load() {
		a.caughtUp()
	}
}
