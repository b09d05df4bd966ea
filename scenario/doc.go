// Package scenario runs transcripts: text files that set an application up in the simulator, let things happen to it
// under a manager, and say what comes of it.
package scenario
