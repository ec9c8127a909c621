package workspacetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// Gateway is Lakebase's front door: a Postgres whose passwords are the tokens of
// a Workspace, checked at login only. Behind it is a real Postgres.
type Gateway struct {
	workspace *Workspace
	upstream  *pgconn.Config
	listener  net.Listener

	mu        sync.Mutex
	open      map[net.Conn]struct{}
	suspended bool
	logins    int
	refused   int
	users     map[string]int
	serving   sync.WaitGroup
}

// StartGateway starts a gateway to the Postgres at dsn.
func StartGateway(t testing.TB, workspace *Workspace, dsn string) *Gateway {
	t.Helper()
	upstream, err := pgconn.ParseConfig(dsn)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &Gateway{workspace: workspace, upstream: upstream, listener: listener,
		open: make(map[net.Conn]struct{}), users: make(map[string]int)}
	g.serving.Go(g.accept)
	t.Cleanup(g.close)
	return g
}

// Env is what Databricks Apps would set for the database resource, and the two
// settings of a test without TLS: the gateway speaks in the clear, on loopback.
func (g *Gateway) Env() map[string]string {
	host, port, _ := net.SplitHostPort(g.listener.Addr().String()) // a listener's address has both
	return map[string]string{
		"PGHOST": host, "PGPORT": port, "PGDATABASE": g.upstream.Database, "PGUSER": ClientID,
		"PGSSLMODE": "disable", "PGAPPNAME": "lakepulse",
		"LAKEBASE_ENDPOINT": Endpoint, "LAKEPULSE_PG_SSLMODE": "disable",
	}
}

// DSN is the connection string of the gateway, without a password.
func (g *Gateway) DSN() string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", ClientID, g.listener.Addr(), g.upstream.Database)
}

// Logins is how many logins were accepted and how many refused.
func (g *Gateway) Logins() (accepted, refused int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.logins, g.refused
}

// LoggedInAs is how many logins the role had.
func (g *Gateway) LoggedInAs(role string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.users[role]
}

// Suspend drops every connection and answers new ones as a compute that is
// starting up does (57P03), until Wake.
func (g *Gateway) Suspend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.suspended = true
	for conn := range g.open {
		_ = conn.Close() // an error says it is closed
	}
}

// Wake ends Suspend.
func (g *Gateway) Wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.suspended = false
}

func (g *Gateway) close() {
	_ = g.listener.Close() // an error says it is closed
	g.Suspend()
	g.serving.Wait()
}

func (g *Gateway) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		g.open[conn] = struct{}{}
		g.mu.Unlock()
		g.serving.Go(func() {
			g.serve(conn)
			g.mu.Lock()
			delete(g.open, conn)
			g.mu.Unlock()
			_ = conn.Close() // an error says it is closed
		})
	}
}

// serve speaks the login itself and then passes bytes through. Its errors are a
// client or a server that went away, which ends the connection and nothing else.
func (g *Gateway) serve(conn net.Conn) {
	backend := pgproto3.NewBackend(conn, conn)
	startup, err := g.startup(conn, backend)
	if err != nil {
		return
	}
	if cancel, ok := startup.(*pgproto3.CancelRequest); ok {
		g.passCancel(cancel)
		return
	}
	parameters := startup.(*pgproto3.StartupMessage).Parameters
	if !g.login(backend, parameters["user"]) {
		return
	}
	ctx, end := context.WithTimeout(context.Background(), 10*time.Second)
	defer end()
	upstream, err := g.connect(ctx, parameters)
	if err != nil {
		return
	}
	defer func() { _ = upstream.Conn.Close() }() // an error says it is closed
	if sendReady(backend, upstream) != nil {
		return
	}
	g.splice(conn, upstream)
}

// startup reads the first message, refusing TLS: this is loopback.
func (g *Gateway) startup(conn net.Conn, backend *pgproto3.Backend) (pgproto3.FrontendMessage, error) {
	for {
		message, err := backend.ReceiveStartupMessage()
		if err != nil {
			return nil, err
		}
		switch message.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := conn.Write([]byte("N")); err != nil {
				return nil, err
			}
		default:
			return message, nil
		}
	}
}

// passCancel hands the cancellation of a query to the server that runs it; the
// process id and key were the server's own.
func (g *Gateway) passCancel(cancel *pgproto3.CancelRequest) {
	encoded, err := cancel.Encode(nil)
	if err != nil {
		return
	}
	network, address := pgconn.NetworkAddress(g.upstream.Host, g.upstream.Port)
	conn, err := net.Dial(network, address)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()            // an error says it is closed
	if _, err := conn.Write(encoded); err == nil { // the server closes when it is done
		_, _ = io.Copy(io.Discard, conn)
	}
}

func (g *Gateway) login(backend *pgproto3.Backend, user string) bool {
	g.mu.Lock()
	suspended := g.suspended
	g.mu.Unlock()
	if suspended {
		deny(backend, "57P03", "the database system is starting up")
		return false
	}
	if backend.SetAuthType(pgproto3.AuthTypeCleartextPassword) != nil {
		return false
	}
	backend.Send(&pgproto3.AuthenticationCleartextPassword{})
	if backend.Flush() != nil {
		return false
	}
	message, err := backend.Receive()
	if err != nil {
		return false
	}
	password, ok := message.(*pgproto3.PasswordMessage)
	good := ok && user == ClientID && g.workspace.Accepts(password.Password)
	g.mu.Lock()
	if good {
		g.logins++
		g.users[user]++
	} else {
		g.refused++
	}
	g.mu.Unlock()
	if !good {
		deny(backend, "28P01", "password authentication failed for user "+user)
	}
	return good
}

func deny(backend *pgproto3.Backend, code, message string) {
	backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: message})
	_ = backend.Flush() // the client went away
}

// connect logs in to the real Postgres with what the client asked for.
func (g *Gateway) connect(ctx context.Context, parameters map[string]string) (*pgconn.HijackedConn, error) {
	cfg := g.upstream.Copy()
	for name, value := range parameters {
		switch name {
		case "user":
		case "database":
			cfg.Database = value
		default:
			cfg.RuntimeParams[name] = value
		}
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return conn.Hijack()
}

func sendReady(backend *pgproto3.Backend, upstream *pgconn.HijackedConn) error {
	backend.Send(&pgproto3.AuthenticationOk{})
	for name, value := range upstream.ParameterStatuses {
		backend.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	backend.Send(&pgproto3.BackendKeyData{ProcessID: upstream.PID, SecretKey: upstream.SecretKey})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return backend.Flush()
}

// splice passes everything both ways until one side ends. What the server says is
// read by message: pgconn may still be reading ahead in the background, and what
// it has read comes out of its frontend only.
func (g *Gateway) splice(client net.Conn, upstream *pgconn.HijackedConn) {
	g.mu.Lock()
	gone := g.suspended
	g.mu.Unlock()
	if gone {
		return
	}
	var both sync.WaitGroup
	pass := func(f func() error) {
		both.Go(func() {
			// However one side ended, closing both is what ends the other direction.
			_ = errors.Join(f(), client.Close(), upstream.Conn.Close())
		})
	}
	pass(func() error {
		_, err := io.Copy(upstream.Conn, client)
		return err
	})
	pass(func() error { return relay(client, upstream.Frontend) })
	both.Wait()
}

func relay(client io.Writer, server *pgproto3.Frontend) error {
	var buffer []byte
	for {
		message, err := server.Receive()
		if err != nil {
			return err
		}
		if buffer, err = message.Encode(buffer[:0]); err != nil {
			return err
		}
		if _, err := client.Write(buffer); err != nil {
			return err
		}
	}
}
