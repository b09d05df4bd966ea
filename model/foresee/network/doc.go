// Package network is the three networks that Seer compares (Gan et al., ASPLOS 2019, table 2 and figure 10): what each service
// had in flight in the last beats gives, for each service, the probability that it starts a violation, and that none does.
//
// An input row is an image of beats × services × channels, services in topological order. Outputs are scores of the classes,
// which a softmax makes probabilities of: one for each service in the same order, then "none". The paper gives the number of
// layers and weights, for applications of 15 to 41 services, and no more; the sizes here come to its weights with 36 services:
//
//	CNN     8 convolutions                                              30,000 weights in the paper
//	LSTM    3 layers of LSTM (12 matrices, 6 elementwise), softmax      52,000
//	Hybrid  7 convolutions, 2 layers of LSTM, dense ones, softmax       80,000
//
// All services share the hybrid's convolutions, LSTM layers and some of its dense ones (see docs/decisions/foresee.md): what is learnt
// of one service holds for the others.
//
// With more than Wide services the first convolution takes several at a step, so that work grows with the services only in
// the first and the last layer.
package network
