package tail

// Squash is the published transformation of latencies y, in ms, that a network learns: y up to the knee d, then
// d + (y-d)/(1+k(y-d)), which never reaches d + Room, so that k = 1/Room. How bad a violation is matters less than that
// it is one.
type Squash struct{ Knee, Room float64 }

// SquashOf is that for an objective: the room is 100 ms, or half of an objective below 200 ms, and the knee lies a
// twentieth of the room above the objective. For an objective of 500 ms these are the published 505 and k = 0.01; for one
// of 200 ms 205, where 211 was published.
func SquashOf(reference float64) Squash {
	room := min(100, reference/2)
	return Squash{Knee: reference + room/20, Room: room}
}

// Of squashes a latency.
func (s Squash) Of(y float64) float64 {
	if !(y > s.Knee) {
		return y
	}
	return s.Knee + (y-s.Knee)/(1+(y-s.Knee)/s.Room)
}

// most is the squashed latency that Back takes for the largest: what lies above it was never learned.
const most = 0.99

// Back is the latency that was squashed to y. Above 99 % of the room it is that of 99 %.
func (s Squash) Back(y float64) float64 {
	if !(y > s.Knee) {
		return y
	}
	over := min(y-s.Knee, most*s.Room)
	return s.Knee + over/(1-over/s.Room)
}
