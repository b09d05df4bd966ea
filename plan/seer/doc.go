// Package seer wraps any manager so that a violation which a model foresees is met before it starts: the service that is
// about to start it, the culprit, gets more for as long as the danger lasts (Gan et al., Seer, ASPLOS 2019, sections 4.3 and
// 4.4). The inner manager decides when it is its turn, as without the wrapper; the wrapper looks at each beat.
//
// A danger begins with one alarm, which says what, where, how sure and how long there is to act. The culprit's total is then
// multiplied, by more where the danger goes on, within the service's own bounds. It ends when the model has seen none for
// Config.Hold, and the culprit has what the inner manager asked for last.
//
// Nothing is ever lowered below what the inner manager asks for. While the model fails, and while telemetry is silent, no
// danger begins, those there are run out, and the inner manager decides alone: the plan says so.
package seer
