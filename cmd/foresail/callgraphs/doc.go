// Package callgraphs is what foresail callgraph does, and what the page's view of call graphs shows: which call graphs the
// requests of each endpoint take, how often, how long they last, and which services make up their tail.
package callgraphs
