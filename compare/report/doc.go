// Package report shows the results of package compare: as Markdown and as PNG plots.
package report
