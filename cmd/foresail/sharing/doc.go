// Package sharing evaluates methods that predict how requests divide among call graphs.
package sharing
