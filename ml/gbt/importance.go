package gbt

// Importance says how much a feature was used.
type Importance struct {
	Gain   float64 // that its splits made, in all
	Cover  float64 // sum of h over the rows that came by its splits in training, in all
	Splits int     // of this feature, in all trees
}

// Importances has an entry for each feature. Divide Gain or Cover by Splits for the mean of a split.
func (m *Model) Importances() []Importance {
	all := make([]Importance, m.features)
	for i := range m.nodes {
		n := &m.nodes[i]
		if n.leaf() {
			continue
		}
		f := &all[n.at()]
		f.Gain += m.gain[i]
		f.Cover += m.cover[i]
		f.Splits++
	}
	return all
}
