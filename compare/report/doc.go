// Package report shows the results of package compare: as Markdown, as PNG plots, and as one HTML page that needs
// nothing else.
package report
