// Package partition divides a node's shared resources on purpose: ways of the last-level cache through resctrl, the
// bandwidth of a network device through HTB, and memory through control groups. They are what §4.4 of Seer has a
// cluster manager act with once the resource at fault is known.
//
// # One change and its undo
//
// A [Share] says what somebody shall get; a [Keeper] makes it so. Three rules hold for each kind:
//
//   - Nothing is changed without a [Permission] that names the kind.
//   - What was there before is written to a file, and synced, before it is changed. An agent that dies at any instant
//     finds the file when it starts again, and [Keeper.Recover] takes everything back.
//   - Shares of one place (a cache, a device, a control group) are made together from what was before the first of
//     them. So the same share twice is the same as once, they can be taken back in any order, and when the last has gone, what
//     was is there again.
//
// What somebody else has changed in the meantime is theirs: it is left as it is, and told as [ErrChanged].
//
// # What a machine lacks
//
// Available of each share says as an [Unavailable] error why the machine can't do it: no resctrl file system, a kernel
// without HTB, a controller that is not mounted. A recommendation can be made all the same, and say so.
package partition
