// Package neighbours is 'foresail diagnose neighbours': an application of real processes, and beside one of its services a real
// process that takes what machines share. It counts how often the service and the resource are named.
package neighbours
