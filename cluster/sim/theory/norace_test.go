//go:build !race

package theory_test

const raced = false
