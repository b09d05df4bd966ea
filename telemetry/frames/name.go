package frames

import (
	"strings"
	"unicode/utf8"
)

// MaxName is how many bytes a name may have.
const MaxName = 256

// Clip bounds a name to MaxName bytes of valid text.
func Clip(s string) string {
	if len(s) > MaxName {
		s = s[:MaxName]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if r, size := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && size == 1 {
			s = s[:len(s)-1]
		}
	}
	return strings.ToValidUTF8(s, "_")
}
