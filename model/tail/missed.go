package tail

// Missed tells what the model's label says of seconds that follow each other: whether what it predicts the probability of
// happened in them. Steps must be of the model's application.
func (m *Model) Missed(steps []Step) bool { return m.layout.violation(steps) }
