// Package historytable lays snapshots out as flat rows, and writes them as a table for people, as CSV and as Parquet.
//
// A row is what was observed of one service, replica, node, endpoint or edge in one interval. Its columns are those of package series,
// without the prefix that names the level; a counter's is what it gained, and a latency is its count, sum and quantiles.
package historytable
