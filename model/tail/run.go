package tail

// Run is seconds that follow each other without a gap.
type Run struct {
	Name  string
	Steps []Step
}
