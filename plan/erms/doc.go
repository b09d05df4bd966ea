// Package erms is Erms's manager (Luo et al., "Erms: Efficient Resource Management for Shared Microservices with SLA
// Guarantees", ASPLOS 2023): each endpoint's objective is split into latency targets of the microservices that its requests
// visit, so that together they need the fewest containers, and each gets as many as its target takes.
package erms
