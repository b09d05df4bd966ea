// Package learning is foresail train sinan: a model of tail latency from the data sets that foresail explore collects.
package learning
