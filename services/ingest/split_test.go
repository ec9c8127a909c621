package ingest

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

// FuzzSplitter holds that an object taken apart by the splitter has the members
// that the library finds in it.
func FuzzSplitter(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { } `, "{\n\t\"a\" : 1 ,\r\n\"b\":[ ] }", `{"a":"\\","b":"\"","c":"\\\"}","d":""}`, `{"\u0061":null,"a":true,"":false}`,
		`{"a":{"b":[{"c":"]}"},{}],"d":{}},"e":[[],[[-1.5e+3,0]]],"f":-0}`, `{"a\"b":"x","\ud800":1,"` + "\xff" + `":"` + "\xfe" + `"}`,
		`{"events":[{"id":"x"},{"id":"y"}],"dropped":3}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text, err := document(body)
		if err != nil {
			return
		}
		var got [][2]string
		s := splitter{text: text}
		s.enter()
		for s.more('}') {
			name := s.name()
			got = append(got, [2]string{name, string(s.value())})
		}
		require.Equal(t, len(text), s.at, "it ends behind the object")
		require.Equal(t, members(t, body), got)
	})
}

// members is what the library says an object holds.
func members(t *testing.T, body []byte) (list [][2]string) {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(body), lenient...)
	_, err := dec.ReadToken()
	require.NoError(t, err)
	for dec.PeekKind() != '}' {
		quoted, err := dec.ReadValue()
		require.NoError(t, err)
		name, _ := jsontext.AppendUnquote(nil, quoted) // a name that is no text is what can be read of it
		if bytes.IndexByte(quoted, '\\') < 0 {
			name = bytes.Clone(quoted[1 : len(quoted)-1])
		}
		v, err := dec.ReadValue()
		require.NoError(t, err)
		list = append(list, [2]string{string(name), string(v)})
	}
	return list
}
