// Package rank says which service is to blame for an issue: it orders services by how likely each is the culprit, from what
// was observed of them in a normal period and during the issue, and from who calls whom. Nothing is fitted: no labels, no
// weights. Four published or plain methods stand beside our own, to be measured against it.
package rank
