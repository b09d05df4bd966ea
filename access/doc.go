// Package access says who may reach Foresail's ports: TLS from files that may change while it runs, bearer tokens that
// are stored as hashes, and two roles.
//
// A token is 256 random bits, shown once, when it is made. The token file keeps its SHA-256:
//
//	# name  role   what proves it                                                           until when
//	ci      read   sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  2027-01-01T00:00:00Z
//	node-7  write  cert:spiffe://example.org/agent/node-7
//
// A slow hash such as bcrypt makes guesses expensive, which a password needs since it can be guessed. Nobody guesses one
// of 2^256 values, however fast the hash; a slow one would only let a caller without a token burn a core per request.
//
// A line with cert: gives a role to whoever shows a client certificate that the server's CA signed and that bears the name.
//
// Files that hold secrets must be the owner's alone (mode 0600 or less); a file of root's may be readable by its group
// (0640), which is how orchestrators mount secrets. PostgreSQL's rule for its key file is the same.
package access
