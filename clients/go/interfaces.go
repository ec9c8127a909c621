package lakepulse

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"reflect"
)

// A ResponseWriter may also be a Flusher (F), Hijacker (H), io.ReaderFrom (R),
// Pusher (P) and CloseNotifier (C). Handlers ask by type assertion and change
// their ways by the answer, so the wrapped writer must have those of the writer
// it wraps, and no others: hence one type for each of the 32 combinations. Each
// adds one interface to another type and holds nothing but the pointer, so
// making an interface value of it allocates nothing.
//
// CloseNotifier is deprecated, but gin streams by it and panics without it.
type (
	writerF     struct{ *writer }
	writerH     struct{ *writer }
	writerFH    struct{ writerF }
	writerR     struct{ *writer }
	writerFR    struct{ writerF }
	writerHR    struct{ writerH }
	writerFHR   struct{ writerFH }
	writerP     struct{ *writer }
	writerFP    struct{ writerF }
	writerHP    struct{ writerH }
	writerFHP   struct{ writerFH }
	writerRP    struct{ writerR }
	writerFRP   struct{ writerFR }
	writerHRP   struct{ writerHR }
	writerFHRP  struct{ writerFHR }
	writerC     struct{ *writer }
	writerFC    struct{ writerF }
	writerHC    struct{ writerH }
	writerFHC   struct{ writerFH }
	writerRC    struct{ writerR }
	writerFRC   struct{ writerFR }
	writerHRC   struct{ writerHR }
	writerFHRC  struct{ writerFHR }
	writerPC    struct{ writerP }
	writerFPC   struct{ writerFP }
	writerHPC   struct{ writerHP }
	writerFHPC  struct{ writerFHP }
	writerRPC   struct{ writerRP }
	writerFRPC  struct{ writerFRP }
	writerHRPC  struct{ writerHRP }
	writerFHRPC struct{ writerFHRP }
)

func (w writerF) Flush()                                           { w.flush() }
func (w writerF) FlushError() error                                { return w.flushError() }
func (w writerH) Hijack() (net.Conn, *bufio.ReadWriter, error)     { return w.hijack() }
func (w writerFH) Hijack() (net.Conn, *bufio.ReadWriter, error)    { return w.hijack() }
func (w writerR) ReadFrom(src io.Reader) (int64, error)            { return w.readFrom(src) }
func (w writerFR) ReadFrom(src io.Reader) (int64, error)           { return w.readFrom(src) }
func (w writerHR) ReadFrom(src io.Reader) (int64, error)           { return w.readFrom(src) }
func (w writerFHR) ReadFrom(src io.Reader) (int64, error)          { return w.readFrom(src) }
func (w writerP) Push(target string, o *http.PushOptions) error    { return w.push(target, o) }
func (w writerFP) Push(target string, o *http.PushOptions) error   { return w.push(target, o) }
func (w writerHP) Push(target string, o *http.PushOptions) error   { return w.push(target, o) }
func (w writerFHP) Push(target string, o *http.PushOptions) error  { return w.push(target, o) }
func (w writerRP) Push(target string, o *http.PushOptions) error   { return w.push(target, o) }
func (w writerFRP) Push(target string, o *http.PushOptions) error  { return w.push(target, o) }
func (w writerHRP) Push(target string, o *http.PushOptions) error  { return w.push(target, o) }
func (w writerFHRP) Push(target string, o *http.PushOptions) error { return w.push(target, o) }
func (w writerC) CloseNotify() <-chan bool                         { return w.closeNotify() }
func (w writerFC) CloseNotify() <-chan bool                        { return w.closeNotify() }
func (w writerHC) CloseNotify() <-chan bool                        { return w.closeNotify() }
func (w writerFHC) CloseNotify() <-chan bool                       { return w.closeNotify() }
func (w writerRC) CloseNotify() <-chan bool                        { return w.closeNotify() }
func (w writerFRC) CloseNotify() <-chan bool                       { return w.closeNotify() }
func (w writerHRC) CloseNotify() <-chan bool                       { return w.closeNotify() }
func (w writerFHRC) CloseNotify() <-chan bool                      { return w.closeNotify() }
func (w writerPC) CloseNotify() <-chan bool                        { return w.closeNotify() }
func (w writerFPC) CloseNotify() <-chan bool                       { return w.closeNotify() }
func (w writerHPC) CloseNotify() <-chan bool                       { return w.closeNotify() }
func (w writerFHPC) CloseNotify() <-chan bool                      { return w.closeNotify() }
func (w writerRPC) CloseNotify() <-chan bool                       { return w.closeNotify() }
func (w writerFRPC) CloseNotify() <-chan bool                      { return w.closeNotify() }
func (w writerHRPC) CloseNotify() <-chan bool                      { return w.closeNotify() }
func (w writerFHRPC) CloseNotify() <-chan bool                     { return w.closeNotify() }

// abilities says which of the interfaces a type of ResponseWriter has.
type abilities struct {
	of   reflect.Type
	have uint8
	ours bool // it is one of the types above
}

// abilitiesOf asks a ResponseWriter once for its type: a server has two or three
// of them, and five assertions for each request are felt.
func (c *Client) abilitiesOf(rw http.ResponseWriter) *abilities {
	of := reflect.TypeOf(rw)
	for i := range c.known {
		known := c.known[i].Load()
		if known == nil {
			a := newAbilities(rw, of)
			c.known[i].CompareAndSwap(nil, a) // or another request was first, with whatever type
			return a
		}
		if known.of == of {
			return known
		}
	}
	return newAbilities(rw, of)
}

func newAbilities(rw http.ResponseWriter, of reflect.Type) *abilities {
	a := &abilities{of: of}
	if _, ok := rw.(http.Flusher); ok {
		a.have |= 1
	}
	if _, ok := rw.(http.Hijacker); ok {
		a.have |= 2
	}
	if _, ok := rw.(io.ReaderFrom); ok {
		a.have |= 4
	}
	if _, ok := rw.(http.Pusher); ok {
		a.have |= 8
	}
	if _, ok := rw.(http.CloseNotifier); ok { //nolint:staticcheck // see above
		a.have |= 16
	}
	_, a.ours = rw.(exchanger)
	return a
}

// wrap returns the writer with the given interfaces.
//
//nolint:gocyclo // a table: the compiler turns it into a jump
func (w *writer) wrap(have uint8) http.ResponseWriter {
	switch have {
	case 1:
		return writerF{w}
	case 2:
		return writerH{w}
	case 3:
		return writerFH{writerF{w}}
	case 4:
		return writerR{w}
	case 5:
		return writerFR{writerF{w}}
	case 6:
		return writerHR{writerH{w}}
	case 7:
		return writerFHR{writerFH{writerF{w}}}
	case 8:
		return writerP{w}
	case 9:
		return writerFP{writerF{w}}
	case 10:
		return writerHP{writerH{w}}
	case 11:
		return writerFHP{writerFH{writerF{w}}}
	case 12:
		return writerRP{writerR{w}}
	case 13:
		return writerFRP{writerFR{writerF{w}}}
	case 14:
		return writerHRP{writerHR{writerH{w}}}
	case 15:
		return writerFHRP{writerFHR{writerFH{writerF{w}}}}
	case 16:
		return writerC{w}
	case 17:
		return writerFC{writerF{w}}
	case 18:
		return writerHC{writerH{w}}
	case 19:
		return writerFHC{writerFH{writerF{w}}}
	case 20:
		return writerRC{writerR{w}}
	case 21:
		return writerFRC{writerFR{writerF{w}}}
	case 22:
		return writerHRC{writerHR{writerH{w}}}
	case 23:
		return writerFHRC{writerFHR{writerFH{writerF{w}}}}
	case 24:
		return writerPC{writerP{w}}
	case 25:
		return writerFPC{writerFP{writerF{w}}}
	case 26:
		return writerHPC{writerHP{writerH{w}}}
	case 27:
		return writerFHPC{writerFHP{writerFH{writerF{w}}}}
	case 28:
		return writerRPC{writerRP{writerR{w}}}
	case 29:
		return writerFRPC{writerFRP{writerFR{writerF{w}}}}
	case 30:
		return writerHRPC{writerHRP{writerHR{writerH{w}}}}
	case 31:
		return writerFHRPC{writerFHRP{writerFHR{writerFH{writerF{w}}}}}
	}
	return w
}
