package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/bcrypt"
)

const (
	natsUser = "lakepulse"
	// maxPayload is the largest message. Ingest groups the batches of one app into one
	// message, so that messages grow past the server's default of 1 MiB.
	maxPayload = 8 << 20
	// maxMemoryStore bounds streams kept in memory; ours are on file.
	maxMemoryStore = 256 << 20
	// natsReadyTimeout covers opening the listener; recovery of the stored streams has
	// happened by then.
	natsReadyTimeout = 30 * time.Second
)

// errNATSStopped is what connecting to a stopped server yields.
var errNATSStopped = errors.New("embedded NATS server is stopped")

// NATSConfig says where and how an embedded NATS server runs. The zero value of every
// field but DataDir is the durable choice.
type NATSConfig struct {
	// DataDir gets nats/ (the streams), nats.password and nats.url.
	DataDir string
	// Port is the loopback port for tools; 0 takes a free one.
	Port int
	// MaxStore bounds the streams' bytes on disk; 0 leaves the server's own rule, three
	// quarters of the disk's free space.
	MaxStore int64
	// RelaxedSync leaves fsync to a timer (2 minutes). An acknowledged message can then
	// be lost with the machine: for tests only.
	RelaxedSync bool
	// Adjust changes the server's options before the first start. Tests use it to join
	// several servers to a cluster; nil changes nothing.
	Adjust func(*server.Options)
}

// NATS is a NATS server with JetStream inside this process. Its methods are safe for
// concurrent use.
type NATS struct {
	options  server.Options
	password string
	urlFile  string
	logger   *slog.Logger
	unlock   func()

	mu     sync.Mutex
	server *server.Server // nil while stopped
	closed bool
}

// StartNATS starts a server on the streams of cfg.DataDir and returns when it accepts
// connections. The caller owns the data directory (LockDataDir) and calls Close.
func StartNATS(cfg NATSConfig, logger *slog.Logger) (*NATS, error) {
	n, err := newNATS(cfg, logger)
	if err != nil {
		return nil, err
	}
	err = n.start()
	if err != nil && cfg.Port == 0 { // somebody took the port between choosing and binding
		n.options.Port = server.RANDOM_PORT
		err = n.start()
	}
	if err != nil {
		n.unlock()
		return nil, err
	}
	return n, nil
}

func newNATS(cfg NATSConfig, logger *slog.Logger) (*NATS, error) {
	if cfg.DataDir == "" {
		return nil, errors.New("embedded NATS needs a data directory")
	}
	dataDir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolve data directory: %w", err)
	}
	if err := makeDataDir(dataDir); err != nil {
		return nil, err
	}
	unlock, err := lockFile(filepath.Join(dataDir, "nats.lock"))
	if err != nil {
		return nil, err
	}
	password, err := keptPassword(filepath.Join(dataDir, "nats.password"))
	if err != nil {
		unlock()
		return nil, err
	}
	// The server warns about plain passwords. This one is as long as a key, so the
	// cheapest hash protects it, and a connection costs a millisecond.
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("hash the NATS password: %w", err)
	}
	options := natsOptions(cfg, filepath.Join(dataDir, "nats"), string(hash))
	if cfg.Adjust != nil {
		cfg.Adjust(&options)
	}
	return &NATS{
		options:  options,
		password: password,
		urlFile:  filepath.Join(dataDir, "nats.url"),
		logger:   logger.With("component", "nats"),
		unlock:   unlock,
	}, nil
}

func natsOptions(cfg NATSConfig, storeDir, passwordHash string) server.Options {
	port := cfg.Port
	if port == 0 {
		port = server.RANDOM_PORT
		if free, err := FreePort(); err == nil {
			port = free
		}
	}
	return server.Options{
		ServerName: "lakepulse",
		Host:       "127.0.0.1",
		Port:       port,
		Username:   natsUser,
		Password:   passwordHash,
		MaxPayload: maxPayload,

		JetStream:              true,
		StoreDir:               storeDir,
		JetStreamMaxStore:      cfg.MaxStore,
		JetStreamMaxMemory:     maxMemoryStore,
		SyncAlways:             !cfg.RelaxedSync,
		DisableJetStreamBanner: true,

		NoSigs: true, // the process's signals are its owner's business
	}
}

// start runs a new server instance on the same options. Once n is shared, callers hold mu.
func (n *NATS) start() error {
	if err := os.MkdirAll(n.options.StoreDir, 0o700); err != nil {
		return fmt.Errorf("create JetStream directory: %w", err)
	}
	options := n.options // the server fills in and keeps its own copy
	srv, err := server.NewServer(&options)
	if err != nil {
		return fmt.Errorf("configure NATS server: %w", err)
	}
	log := newNATSLog(n.logger)
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	if err := n.awaitReady(srv, log); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return err
	}
	if n.options.Port == server.RANDOM_PORT {
		n.options.Port = srv.Addr().(*net.TCPAddr).Port // kept by a restart
	}
	n.server = srv
	if err := writePrivate(n.urlFile, n.URL()+"\n"); err != nil {
		n.stop()
		return err
	}
	return nil
}

// awaitReady waits for the listener. The server reports what keeps it from starting
// only in its log, so a fatal line there ends the wait.
func (n *NATS) awaitReady(srv *server.Server, log *natsLog) error {
	deadline := time.Now().Add(natsReadyTimeout)
	for {
		ready := srv.ReadyForConnections(100 * time.Millisecond)
		if fatal := log.fatal(); fatal != "" {
			return fmt.Errorf("start NATS server: %s", fatal)
		}
		if ready {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("start NATS server: not ready after %s", natsReadyTimeout)
		}
	}
	if !srv.JetStreamEnabled() {
		return fmt.Errorf("start NATS server: JetStream did not start on %s", n.options.StoreDir)
	}
	return nil
}

// URL is the address of the TCP listener with its credentials, for other processes.
// It stays the same through Stop and Restart.
func (n *NATS) URL() string {
	u := url.URL{
		Scheme: "nats",
		User:   url.UserPassword(natsUser, n.password),
		Host:   net.JoinHostPort("127.0.0.1", strconv.Itoa(n.options.Port)),
	}
	return u.String()
}

// Connect opens a connection inside the process: no socket, no port. It survives
// Restart as a TCP connection would, by reconnecting. opts come after the package's
// own and win.
func (n *NATS) Connect(opts ...nats.Option) (*nats.Conn, error) {
	own := []nats.Option{nats.InProcessServer(n), nats.UserInfo(natsUser, n.password)}
	conn, err := nats.Connect("", append(own, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to embedded NATS: %w", err)
	}
	return conn, nil
}

// InProcessConn implements nats.InProcessConnProvider for whichever server instance
// runs at the moment.
func (n *NATS) InProcessConn() (net.Conn, error) {
	srv := n.Server()
	if srv == nil {
		return nil, errNATSStopped
	}
	return srv.InProcessConn()
}

// Server returns the running server, or nil while it is stopped.
func (n *NATS) Server() *server.Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.server
}

// Stop shuts the server down and waits until its files are closed. Restart brings it
// back on the same port and streams; fault tests use the pair as an outage.
func (n *NATS) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stop()
}

func (n *NATS) stop() {
	if n.server == nil {
		return
	}
	n.server.Shutdown()
	n.server.WaitForShutdown()
	n.server = nil
}

// Restart stops the server if it runs and starts it again on the same port and streams.
func (n *NATS) Restart() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errNATSStopped
	}
	n.stop()
	return n.start()
}

// Close stops the server for good: when it returns the streams are flushed and closed,
// and the data directory is free for another server. More calls do nothing.
func (n *NATS) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	n.stop()
	err := removeIfPresent(n.urlFile)
	n.unlock()
	return err
}
