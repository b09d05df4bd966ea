// Package scenario runs transcripts: text files that set an application up in the simulator, let things happen to it under
// a manager, and say what comes of it. The language is described in README.md beside this file.
//
// Parse reads a file and checks all of it, names of the application and times of the runs included, so that a scenario
// that was parsed can be run. Each world, that is what lies between one restart and the next, is simulated in one go by
// loop.Run when the first command needs it; commands in mid-run are actions at their instants. What was seen is recorded
// before anything is hidden from the manager, second by second, and commands that ask look at that record alone, up to the
// time at which they stand. So the same file gives the same transcript, byte for byte.
package scenario
