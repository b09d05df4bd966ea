// Package gp fits Gaussian processes and predicts with them: a mean and how far from it the truth may lie.
//
// The covariance of two rows is a Matern function of their distance r (Rasmussen and Williams, "Gaussian Processes for
// Machine Learning", 2006, eq. 4.17), in which each feature is divided by a length scale, its own or one for all, plus
// noise on the diagonal:
//
//	Matern32: s (1+√3 r) exp(-√3 r)        Matern52: s (1+√5 r+5r²/3) exp(-√5 r)
//
// The mean is constant, and is where the likelihood is highest (generalised least squares). Length scales, the variance s
// and the noise are where the log marginal likelihood (eq. 2.30) is highest, by its gradient (eq. 5.9), from several
// starts. All of this is done on features and targets of mean 0 and variance 1.
//
// A model is immutable: it may be read from many goroutines, each with its own Predictor. Fitting is deterministic: the
// same data and Config give the same model.
package gp
