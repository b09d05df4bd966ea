// Package adapting keeps the model of a run fit while it goes on: it watches whether what the model predicts comes true,
// fine-tunes it in the background on what was observed since it no longer does, and hands the run's loop a manager with the
// new model when that predicts the newest seconds better than the old one.
//
// Nothing of it makes the loop wait, and nothing that goes wrong in it ends the run: seconds wait in a bounded queue and are
// dropped when it is full, and a panic ends one attempt.
package adapting
