package write

import "time"

// overhead is the section as a file writes it; empty where there is none.
func (w appWriter) overhead() ynode {
	o, n := &w.bp.Overhead, mapping()
	for _, d := range []struct {
		key  string
		took time.Duration
	}{{"caller", o.Caller}, {"callee", o.Callee}, {"network", o.Network}, {"users", o.Users}, {"late_by", o.LateBy}, {"report", o.Report}, {"report_every", o.ReportEvery}} {
		if d.took > 0 {
			n.add(d.key, plainText(duration(d.took)))
		}
	}
	if o.Late > 0 {
		n.add("late", plainText(number(o.Late)))
	}
	if o.Stretch > 0 {
		n.add("stretch", plainText(number(o.Stretch)))
	}
	return n
}
