// Package load is what contention probes do to a node (Gan et al., Seer, ASPLOS 2019, section 4.4): ten loads, one for each
// resource of package probe, whose intensity can be set and which last for about 10 ms at a time; for each resource a victim,
// a small piece of work that lives on that resource alone; and what drives a search with them.
//
// A victim's price is the time that it takes. It is told on two clocks: CPU time, which rises where a resource that the core
// needs is short, and time on the wall, which rises besides where somebody else has the core. What a load does to the victim
// of its own resource, on another core, is what it is worth on a machine; see [Measure]. A load without such an effect is
// [Unavailable]: on cores that have no second thread nobody else uses their arithmetic units or first caches, and on a
// virtual machine nobody can tell beforehand.
package load
