// Package keeping is `foresail latency fit`, `list`, `predict` and `debug`: models of latency that are learnt from a history or from
// streams, kept in a repository, asked, and looked into.
package keeping
