// Package network is Sinan's convolutional network: what happened to each service in the last seconds, the latencies that
// users saw, and the cores that each service is to get next, give the latency percentiles of the next second (Zhang et al.,
// ASPLOS 2021, figure 5, in the sizes of its public artefact).
//
// It is in two parts, so that many candidates can be tried on one history. The trunk sees the history alone:
//
//	services × seconds × channels → convolutions → mean over all pixels → dense ┐
//	seconds × percentiles                                               → dense ┴→ dense → dense
//
// and the head what is proposed:
//
//	cores by service → dense → dense ┐
//	what the trunk says              ┴ features → dense → percentiles
//
// Every layer but the last is batch-normalised and rectified. The scales of normalisations are 1, as in the artefact, where
// the framework's default holds them there. Features are what boosted trees go on from.
package network
