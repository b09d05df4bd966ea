// Package foresee tells, from what each service has in flight, which one will start a violation in the next moments, after
// Seer (Gan et al., ASPLOS 2019, section 4.3).
//
// A Run is what was observed beat by beat: for each service the numbers of its queues, and the episodes that package label
// found. A sample is a window of beats; its class is the culprit of the episode that is broken within the horizon after it,
// or none. Train fits one of the networks of package network to them and gives a Model: an immutable file. A Watcher takes
// beat after beat and says how probable a violation is, whose it will be, and whether that is an alarm.
//
// Every way to foresee is a Detector: it gives a beat a score and names a service. Scores above a threshold are alarms. The
// threshold is chosen by the same rule for all (Tune), on data that none was fitted to, and Evaluate counts the same way for
// all: Threshold detectors on utilisation and on queues are what networks are compared with.
//
// # What counts
//
// Everything is reckoned from the instant at which an episode is broken (see package label). Its run-up is the horizon before
// that, and earlier beats since the episode's start, at most Early before it was broken. An episode is caught when there
// is an alarm in its run-up, one beat before it was broken at the latest. A warning is a row of alarms without a gap longer
// than Gap, and of Longest at most; it is right when one of its alarms lies in a run-up, else false. So an alarm that is always
// on is false every two seconds. While an episode goes on, and until its last beats have left the window, nothing counts.
package foresee
