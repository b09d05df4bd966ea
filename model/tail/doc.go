// Package tail predicts what an allocation will do to an application's end-to-end tail latency, as Sinan does (Zhang et al.,
// "Sinan: ML-Based and QoS-Aware Resource Management for Cloud Microservices", ASPLOS 2021): a convolutional network says
// the latency percentiles of the next second, and boosted trees on what that network made of the past say how probable a
// violation is in the seconds after it.
package tail
