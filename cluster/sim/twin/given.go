package twin

import "foresail.dev"

// Given is what may be known of an application without looking inside: its limits, not its operations. users is Input.Users.
func Given(bp *foresail.Blueprint, users string) Input {
	in := Input{App: bp.App, Limits: make([]foresail.ServiceBlueprint, len(bp.Services)),
		Patience: make([]foresail.Patience, len(bp.Services)), Timeouts: bp.Timeouts, Users: users}
	for i, s := range bp.Services {
		in.Patience[i] = patienceOf(s.Operations)
		s.Operations = nil
		in.Limits[i] = s
	}
	return in
}

// patienceOf is the first patience that a service's calls state: it is configuration, the same for most.
func patienceOf(ops []foresail.Operation) foresail.Patience {
	for _, op := range ops {
		for _, s := range op.Steps {
			for _, c := range s.Calls {
				return c.Patience
			}
		}
	}
	return foresail.Patience{}
}
