// Package shares predicts how the requests of an endpoint will divide among its call graphs in the windows to come (Derm,
// ISCA 2024, its dynamic predictor).
//
// What is predicted are shares: of each form of call graph the part of all requests, together one. They are counts of
// finitely many requests, hardly change for hours, and then jump: to a mix that was there before, or by one form giving
// its requests to another. Methods (LastValue, Ridge, Regimes; the artefact's network is in package neural) stand behind one
// interface; a Predictor runs several side by side on what an application does, and predicts with the one that was the best
// so far.
package shares
