package testkit

import (
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Proxy is a TCP connection between two parts that a test can break:
//
//	        Cut                Stall
//	open ────────► cut    open ────────► stalled
//	 ▲              │      ▲                │
//	 └──── Heal ────┘      └───── Heal ─────┘
//
// Cut is a refused connection: what is open is reset, what is new is reset at once.
// Stall is a network that swallows packets: nothing fails, nothing arrives.
type Proxy struct {
	target   string
	listener net.Listener
	stopped  chan struct{}
	running  sync.WaitGroup

	mu      sync.Mutex
	cut     bool
	delay   time.Duration
	flowing chan struct{} // closed while bytes may pass
	links   map[*link]struct{}
}

// link is one proxied connection.
type link struct {
	client, server net.Conn
}

// reset closes both ends without the TCP goodbye, as a broken network does.
func (l *link) reset() {
	for _, conn := range []net.Conn{l.client, l.server} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // best effort: closing is what counts
		}
		_ = conn.Close() // both copiers close, the second finds it closed
	}
}

// NewProxy listens on a loopback port and passes connections on to target (host:port)
// until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{
		target:   target,
		listener: listener,
		stopped:  make(chan struct{}),
		flowing:  make(chan struct{}),
		links:    map[*link]struct{}{},
	}
	close(p.flowing)
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// ProxyURL puts a proxy before the server of a URL (a DSN, a NATS URL, an HTTP
// address) and returns it with the URL that leads through it.
func ProxyURL(t testing.TB, target string) (*Proxy, string) {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	p := NewProxy(t, u.Host)
	u.Host = p.Addr()
	return p, u.String()
}

// Addr is the proxy's host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut resets every connection, and new ones as they come, until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for l := range p.links {
		l.reset()
	}
}

// Stall holds every byte back until Heal, with the connections open.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isClosed(p.flowing) {
		p.flowing = make(chan struct{})
	}
}

// Heal ends Cut and Stall: new connections work, held bytes arrive.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	if !isClosed(p.flowing) {
		close(p.flowing)
	}
}

// Delay adds d before each chunk of bytes from now on, in both directions; 0 ends it.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Connections counts the connections that are open through the proxy.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a client that left before it was accepted
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve passes bytes both ways until either side ends or the proxy is cut.
func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		(&link{client: client, server: client}).reset() // the client sees what it would without us
		return
	}
	l := &link{client: client, server: server}
	defer l.reset()
	if !p.add(l) {
		return
	}
	defer p.remove(l)
	var ways sync.WaitGroup
	ways.Go(func() { p.copy(server, client) })
	ways.Go(func() { p.copy(client, server) })
	ways.Wait()
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || isClosed(p.stopped) {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// copy passes one direction on. At its end the other side hears of it (a half-closed
// connection stays usable the other way).
func (p *Proxy) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.hold() {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				_ = from.Close() // nobody takes its bytes any more
				return
			}
		}
		if err != nil {
			p.passEnd(to, err)
			return
		}
	}
}

func (p *Proxy) passEnd(to net.Conn, err error) {
	if tcp, ok := to.(*net.TCPConn); ok && errors.Is(err, io.EOF) {
		_ = tcp.CloseWrite() // fails only if the other side is gone as well
		return
	}
	_ = to.Close()
}

// hold waits as Stall and Delay demand; false when the proxy ends meanwhile.
func (p *Proxy) hold() bool {
	p.mu.Lock()
	flowing, delay := p.flowing, p.delay
	p.mu.Unlock()
	select {
	case <-flowing:
	case <-p.stopped:
		return false
	}
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.stopped:
		return false
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	close(p.stopped)
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	_ = p.listener.Close() // its purpose is to end accept
	p.running.Wait()
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
