package access

import (
	"testing"
	"time"

	"foresail.dev/access/accesstest"
)

func later() time.Time { return time.Now().Add(time.Hour) }

// issued are the files of a new certificate.
func issued(t testing.TB, a *accesstest.Authority, name string, serial int64, until time.Time) Files {
	cert, key := a.Issue(t, name, serial, until)
	return Files{Cert: cert, Key: key}
}

// write replaces a file.
var write = accesstest.Write
