// Package bucket keeps models and results where all that train and use them can reach them: in a folder, or in an object
// store (s3://, gs://), through gocloud.dev/blob. docs/formats/bucket.md tells its layout and what of it is tested where.
//
// What stands under a name is whole or not there: a reader never sees half of it, and a writer that is killed leaves nothing
// behind that has a name. Two writers of one name never mix: PutNew lets the first win and tells the second, Put the last.
// A model is checked (its length, its SHA-256) when it is written and again when it is read.
//
// Once lets many processes that need one thing make it one time, whichever comes first, without any of them waiting for
// one that has died. It needs nothing of the store but that an object is created only where there is none, compares no clocks of
// different machines, and where it errs two make the same thing, of which one is kept.
package bucket
