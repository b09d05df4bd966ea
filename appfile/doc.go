// Package appfile reads application files, load files and other configuration, strictly: a field that is not known, a
// value of the wrong type, a key given twice, a service that is not there or a probability beyond 1 is a Fault with
// its file, line, column and path, and one reading reports all of them. docs/formats/app.md and docs/formats/load.md
// describe the formats.
//
// The YAML that is read is a plain subset: one document, UTF-8, no anchors, aliases, merge keys or tags. That keeps
// files readable, and their size in memory in proportion to their size on disk.
package appfile
