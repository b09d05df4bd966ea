package remote

// AskLittle makes readers ask for few snapshots at once until the returned function is called.
func AskLittle(ms int64, snapshots int) (restore func()) {
	l, b := listed, batch
	listed, batch = ms, snapshots
	return func() { listed, batch = l, b }
}
