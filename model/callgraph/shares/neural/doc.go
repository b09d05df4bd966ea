// Package neural is the network of Derm's artefact that predicts the next window's shares of call graphs: two layers of long
// short-term memory with 64 cells, dot attention of the last state over all, and a layer to the shares.
//
//	q = Linear(h_n)   α = softmax(h_t·q)   c = Σ_t α_t·h_t   shares = softmax(Linear(c))
//
// It is trained for 30 epochs of batches of 100 with Adam, rate 1e-3, on the mean square error. Which nine inputs the authors give it
// for four call graphs, and of how many windows, is not published. Here they are what can be observed: the four shares, their
// four changes since the window before, and how long ago they changed last, as ln(1+windows)/5; of the last ten windows. For another
// number of call graphs k there are 2k+1 inputs.
package neural
