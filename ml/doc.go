// Package ml is what learners and those who use them share: the file that a trained model is kept in, and scores.
//
// The learners are ml/nn (neural networks), ml/gbt (boosted trees) and ml/gp (Gaussian processes). None knows another.
// Each has models that implement encoding.BinaryMarshaler and encoding.BinaryUnmarshaler; Write and Load put any of them
// into a file that says what it is and what it was trained on. docs/formats/model.md draws the file byte by byte.
package ml
