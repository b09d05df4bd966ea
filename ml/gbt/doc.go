// Package gbt trains gradient-boosted decision trees and predicts with them.
//
// Trees are grown as XGBoost grows them with its histogram method (Chen and Guestrin, "XGBoost: A Scalable Tree Boosting
// System", KDD 2016). Every feature is quantised once into at most 255 bins and one for what is missing. A loss is
// known by its first and second derivative g and h in each row. A leaf with the sums G and H weighs -G/(H+λ) (eq. 5), and
// a split gains
//
//	GL²/(HL+λ) + GR²/(HR+λ) - G²/(H+λ)
//
// twice eq. 7 without γ, as XGBoost reports it; it is made where that is more than Gamma. Sums per bin are enough to find
// the best split, and those of the larger child are those of the parent less those of the smaller.
//
// Sums are integers. Per tree, g and h are scaled by a power of two and rounded; where rounding to 18 bits would lose
// small gradients among large ones, to more. So sums depend on no order, subtraction is exact, and both sums of a row are
// added at once, as halves of one word. Rounding touches the choice of splits alone: leaves weigh what the exact sums say.
//
// What is missing (NaN) goes where it gained most in training; where none was missing, with the larger part.
//
// A trained model is immutable: it may be read from many goroutines. Training is deterministic: the same data, Config and
// processor architecture give the same model.
package gbt
