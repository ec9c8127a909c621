package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	clusterTries = 3
	// electionPatience covers the first election among the servers, which takes a few
	// seconds when they start together.
	electionPatience = 60 * time.Second
)

// Cluster is several NATS servers of one process joined by routes, for tests of what
// replicated streams survive. Stop and restart its Nodes one at a time.
type Cluster struct {
	Nodes []*NATS
}

// StartCluster starts n servers, each in a directory of its own under cfg.DataDir, and
// returns when they have a leader and every one of them knows it. cfg.Port is ignored.
func StartCluster(n int, cfg NATSConfig, logger *slog.Logger) (*Cluster, error) {
	if n < 1 {
		return nil, errors.New("a NATS cluster needs a server")
	}
	var failures []error
	for range clusterTries {
		c, err := startCluster(n, cfg, logger)
		if err == nil {
			return c, nil
		}
		failures = append(failures, err) // a route's port may have been taken meanwhile
	}
	return nil, errors.Join(failures...)
}

func startCluster(n int, cfg NATSConfig, logger *slog.Logger) (_ *Cluster, err error) {
	ports, err := freePorts(n)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	for i := range n {
		node := cfg
		node.Port = 0
		node.DataDir = filepath.Join(cfg.DataDir, fmt.Sprintf("node-%d", i+1))
		s, err := newNATS(node, logger.With("node", i+1))
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, s)
		s.joinCluster(i, ports)
		if err := s.start(); err != nil {
			return nil, err
		}
	}
	return c, c.AwaitReady(electionPatience)
}

// joinCluster turns the options of a server that has not started into those of node i
// of a cluster whose routes listen on ports.
func (n *NATS) joinCluster(i int, ports []int) {
	n.options.ServerName = fmt.Sprintf("lakepulse-%d", i+1)
	n.options.Cluster = server.ClusterOpts{Name: "lakepulse", Host: "127.0.0.1", Port: ports[i]}
	for _, port := range ports {
		route := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		n.options.Routes = append(n.options.Routes, &url.URL{Scheme: "nats-route", Host: route})
	}
}

// AwaitReady waits until the running servers have a leader and are up to date with it:
// a stream created before that fails with "no suitable peers".
func (c *Cluster) AwaitReady(patience time.Duration) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !c.ready() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("NATS cluster has no leader after %s", patience)
		}
	}
	return nil
}

func (c *Cluster) ready() bool {
	leaders, running := 0, 0
	for _, node := range c.Nodes {
		node.mu.Lock()
		srv := node.server
		node.mu.Unlock()
		if srv == nil {
			continue
		}
		running++
		if srv.JetStreamIsLeader() {
			leaders++
			if len(srv.JetStreamClusterPeers()) < len(c.Nodes) {
				return false
			}
		} else if !srv.JetStreamIsCurrent() {
			return false
		}
	}
	return leaders == 1 && running > len(c.Nodes)/2
}

// URL lists the servers' addresses with credentials, as clients take them.
func (c *Cluster) URL() string {
	var urls []string
	for _, node := range c.Nodes {
		urls = append(urls, node.URL())
	}
	return strings.Join(urls, ",")
}

// Connect opens a TCP connection to the cluster, which moves on when its server stops.
func (c *Cluster) Connect(opts ...nats.Option) (*nats.Conn, error) {
	conn, err := nats.Connect(c.URL(), opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to embedded NATS cluster: %w", err)
	}
	return conn, nil
}

// Close stops every server for good.
func (c *Cluster) Close() error {
	var errs []error
	for _, node := range c.Nodes {
		errs = append(errs, node.Close())
	}
	return errors.Join(errs...)
}
