// Package shapes finds, in spans, the call graphs that requests take: foresail.Snapshot.Shapes.
package shapes
