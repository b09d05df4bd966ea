// Package neural forecasts load with encoder-decoder LSTMs (Sutskever et al., NeurIPS 2014): those that Madu (Luo et al.,
// SoCC 2022) compares itself with, and Madu's own.
//
// All see a window of n steps, each with the features of §4.1.2: the load, the minute of the hour, the hour of the day, and
// the day of the week. The paper calls the last the week's number; within a month of data no week's number comes back, so it
// could tell nothing of a period, and is read as the day within the week. Of how features are scaled the paper says nothing:
// here the load by the mean of its own window, so that a network forecasts at levels its training never saw, and the others
// to [-1/2, 1/2]. The decoder is given the last load first and then what it predicted itself, in training as in use (eq. 4).
//
//   - seq2seq predicts one figure; its scale is what it was off by in training.
//   - bnn has a normal distribution for each weight, learnt by Bayes by Backprop (Blundell et al., ICML 2015): how sure it
//     is of its weights, and one deviation of the load for all times.
//   - dubnn predicts mean and deviation, and drops the same cells of both LSTMs at each step, in use too (Gal and
//     Ghahramani, NeurIPS 2016; Kendall and Gal, NeurIPS 2017).
//   - madu predicts mean µ and deviation σ under the likelihood of eq. 1, with stochastic Gaussian attention (eqs 3 to 6);
//     its one figure is µ + σ (eq. 8). In use the scores are their means, so that a forecast draws nothing.
//
// The decoder's inputs are those of eq. 4: µ, σ and the context; h and c are its state, which begins as the encoder's ends.
// Sizes that the paper does not say are 32 cells, 32 numbers inside attention, batches of 32 and Adam.
//
// Training is by one goroutine and steps that allocate nothing. Pool trains one network on many series, from which a Train
// with Options.Warm starts that then needs a fifth of the steps; a Train that is warm from the model of last week is the
// paper's incremental training (§6.1.1).
package neural
