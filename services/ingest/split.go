package ingest

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// value is one JSON value as it was sent, without the white space around it. It
// shares the memory of the whole body, so that what is kept of it costs no
// allocation of its own.
type value string

// Kind returns what sort of value it is: '"', '0' for numbers, 't', 'f', 'n',
// '{' or '['.
func (v value) Kind() jsontext.Kind {
	if c := v[0]; c != '-' && (c < '0' || c > '9') {
		return jsontext.Kind(c)
	}
	return '0'
}

// splitter takes a JSON text apart. The text is known to be valid: the library
// has read it once as a whole, which it does several times as fast as value by
// value. So nothing is checked again, and what is looked for is always there.
type splitter struct {
	text string
	at   int // before a value, or behind one
}

// enter steps into the object or list the splitter stands before.
func (s *splitter) enter() { s.at++ }

// more steps to the next member or element and reports whether there is one.
// If not, it steps out of the object or list that closing ends.
func (s *splitter) more(closing byte) bool {
	s.space()
	if s.text[s.at] == ',' {
		s.at++
		s.space()
	}
	if s.text[s.at] == closing {
		s.at++
		return false
	}
	return true
}

// name reads a member's name and stops before its value.
func (s *splitter) name() string {
	quoted := s.value()
	s.space()
	s.at++ // the colon
	s.space()
	if strings.IndexByte(string(quoted), '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	// A name that is no valid text is none we know: it is skipped like any other.
	name, _ := jsontext.AppendUnquote(nil, quoted)
	return string(name)
}

// value reads the value the splitter stands before.
func (s *splitter) value() value {
	from := s.at
	switch s.text[from] {
	case '"':
		s.quoted()
	case '{', '[':
		s.nested()
	default:
		for s.at < len(s.text) && !endsScalar[s.text[s.at]] {
			s.at++
		}
	}
	return value(s.text[from:s.at])
}

var endsScalar = [256]bool{',': true, '}': true, ']': true, ' ': true, '\t': true, '\n': true, '\r': true}

// quoted steps behind a string.
func (s *splitter) quoted() {
	rest := s.text[s.at+1:]
	end := strings.IndexByte(rest, '"')
	if end > 0 && rest[end-1] == '\\' { // perhaps not its end: look at what each backslash escapes
		for end = 0; rest[end] != '"'; end++ {
			if rest[end] == '\\' {
				end++
			}
		}
	}
	s.at += end + 2
}

// nested steps behind an object or a list, whatever is in it.
func (s *splitter) nested() {
	for depth := 0; ; {
		switch s.text[s.at] {
		case '"':
			s.quoted()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}

func (s *splitter) space() {
	for s.at < len(s.text) && s.text[s.at] <= ' ' {
		s.at++
	}
}
