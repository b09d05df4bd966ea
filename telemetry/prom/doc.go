// Package prom reads snapshots from whatever answers the Prometheus HTTP API: Prometheus, Mimir, Thanos, VictoriaMetrics.
//
// Recipes say which series mean what; a Reader finds out which of them are there, for which services, and asks for them in
// few queries, however many services there are:
//
//	recipes ──find──▶ plan: one query for each kind of series that is there
//	                    │ asked at the start and the end of an interval
//	                    ▼
//	                  two moments ──difference──▶ *foresail.Snapshot
//
// Counters and histograms are cumulative: what happened is the difference of two moments, series by series. One that is
// lower than before was reset, and counts from zero. One that is new counts from zero where its process was there before
// (the first failure of a service, say); where the process is new as well, its first value is not counted, since nobody
// knows when it began; nor is that of one that was lost for a while and is back. What is not there is absent, never zero.
//
// Native histograms enter the sketch without loss where they are at least as fine as it is, by merging down; coarser ones
// and classic ones are spread within their buckets, evenly on the scale that Prometheus itself interpolates on: the
// logarithmic one for native buckets, the linear one for classic ones. What is over the last bucket counts at its bound.
// A quantile of a classic histogram is thus off by as much as its bucket is wide, as it is in Prometheus.
package prom
