package program

import "foresail.dev/cluster/sim/chance"

// CallBack adds a call with which the callee of an edge calls its caller back, for so much CPU work, ns: with the patience
// of the first call that goes the other way. It gives the call's number. The edge back may be a new one.
func (p *Program) CallBack(edge, callee, caller int32, cpu int64) int32 {
	from := int32(len(p.Steps))
	p.Steps = append(p.Steps, Step{Cpu: chance.Fixed(cpu), Disk: -1})
	steps := Extent{From: from, To: from + 1}
	p.Ops = append(p.Ops, Operation{Name: "callback", Service: caller, Index: -1, Steps: steps})
	def := Call{Service: caller, Pool: -1, Endpoint: -1, Deadline: -1, Repeat: 1, Probability: 1,
		Op: int32(len(p.Ops) - 1), Steps: steps, Edge: p.Edge(callee, caller)}
	for i := range p.Calls {
		if p.Calls[i].Edge == edge {
			def.Deadline = p.Calls[i].Deadline
			break
		}
	}
	p.Calls = append(p.Calls, def)
	return int32(len(p.Calls) - 1)
}
