// Package receive takes what agents send and adds it to snapshots.
//
// # What is counted where
//
// A beat of an agent belongs to the beat of the snapshot that it covers, by the receiver's clock: an agent's clock that
// is off is corrected by the least time that its last messages seemed to be under way. A beat that covers several,
// since its node stood still, is shared among them evenly. What comes after the snapshot was cut follows in
// Snapshot.Late for foresail.RevisionLimit, then it is dropped and counted.
//
// Containers are replicas of services by the names that agents give, or that Names finds for their pods. What belongs
// to no service of the application counts into the node alone. A service's sum is told when every node that has
// replicas of it has reported, since a part would pass for the whole: at once, or in Late. A node that has reported
// nothing for two seconds is not waited for.
//
// Memory is told in each beat, though agents read it once a second. Queue is connections that wait to be accepted and
// those with unread bytes; in flight, where no spans tell it, those and the ones that are being worked on.
//
// # What is bounded
//
// Nodes, containers, beats held and the size of each message are, by Config; what a bound costs is counted in Stats. An
// agent that sends what can't be is cut off. Of two that claim the same node the newer stays.
package receive
