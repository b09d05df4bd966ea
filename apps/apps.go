// Package apps holds the applications that Foresail brings along, as application files (docs/formats/app.md). What no
// source says of them is marked assumed in the files.
package apps

import "embed"

// Files are the application files, named like hotel-reservation.yaml.
//
//go:embed *.yaml
var Files embed.FS
