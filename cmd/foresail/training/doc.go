// Package training trains forecasters for all services of an application, on all cores and in as many processes as there are
// shards, into one bucket.
//
// What a model becomes hangs on its series, the settings and the model that it starts from, and on nothing else: the seed is the
// service's own, and the version that it is kept under is named after all of these. So it is the same file, byte for byte,
// however many shards there are and in which order services are trained; and where a model of that version is there already,
// there is nothing to do, which is how a run that was killed goes on.
package training
