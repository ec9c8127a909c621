package testkit_test

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// startEcho listens and answers every line with itself, until the test ends.
func startEcho(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn) // ends as the test wants
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

type client struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *testkit.Proxy) *client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &client{Conn: conn, lines: bufio.NewReader(conn)}
}

func (c *client) say(t *testing.T, line string) {
	t.Helper()
	_, err := c.Write([]byte(line + "\n"))
	require.NoError(t, err)
}

func (c *client) requireHears(t *testing.T, line string) {
	t.Helper()
	heard, err := c.lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, line+"\n", heard)
}

func (c *client) requireLost(t *testing.T) {
	t.Helper()
	_, err := c.lines.ReadString('\n')
	require.Error(t, err)
}

// requireRefused says that no connection lasts; where it breaks is a matter of timing.
func requireRefused(t *testing.T, p *testkit.Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestProxy(t *testing.T) {
	t.Run("passes bytes both ways, and the end of one way", func(t *testing.T) {
		p := testkit.NewProxy(t, startEcho(t))
		c := dial(t, p)
		c.say(t, "hello")
		c.requireHears(t, "hello")
		c.say(t, "last")
		require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
		c.requireHears(t, "last")
		_, err := c.lines.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		testkit.EventuallyEqual(t, 0, p.Connections)
	})
	t.Run("cut, it drops what is open and what is new, until healed", func(t *testing.T) {
		p := testkit.NewProxy(t, startEcho(t))
		old := dial(t, p)
		old.say(t, "hello")
		old.requireHears(t, "hello")
		p.Cut()
		old.requireLost(t)
		requireRefused(t, p)
		p.Heal()
		fresh := dial(t, p)
		fresh.say(t, "again")
		fresh.requireHears(t, "again")
	})
	t.Run("stalled, it holds bytes back and delivers them when healed", func(t *testing.T) {
		p := testkit.NewProxy(t, startEcho(t))
		c := dial(t, p)
		c.say(t, "before")
		c.requireHears(t, "before")
		p.Stall()
		p.Stall()
		c.say(t, "held")
		require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
		c.requireLost(t)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		p.Heal()
		c.requireHears(t, "held")
	})
	t.Run("delayed, it still delivers", func(t *testing.T) {
		p := testkit.NewProxy(t, startEcho(t))
		p.Delay(20 * time.Millisecond)
		c := dial(t, p)
		started := time.Now()
		c.say(t, "slow")
		c.requireHears(t, "slow")
		require.GreaterOrEqual(t, time.Since(started), 40*time.Millisecond, "both ways")
	})
	t.Run("without a server behind it, connections are reset", func(t *testing.T) {
		p := testkit.NewProxy(t, testkit.FreeAddr(t))
		requireRefused(t, p)
	})
	t.Run("a test may end while it stalls", func(t *testing.T) {
		p := testkit.NewProxy(t, startEcho(t))
		c := dial(t, p)
		p.Stall()
		c.say(t, "never heard")
	})
}
