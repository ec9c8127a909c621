package console

import "strings"

// Printable replaces the control characters of s (C0, DEL, C1) by a middle dot, so
// that text from an event stays on its line and sends no commands to a terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '·'
		}
		return r
	}, s)
}
