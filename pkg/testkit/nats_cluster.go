package testkit

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/embedded"
)

const (
	clusterAttempts = 3
	// electionTimeout covers the first leader election, which takes a few seconds when
	// the servers start together.
	electionTimeout = 60 * time.Second
)

// Cluster is several NATS servers of this process joined by routes, for tests of
// replicated streams. Stop and restart its Nodes one at a time.
type Cluster struct {
	Nodes []*embedded.NATS
}

// NATSCluster starts a cluster of three servers of the test's own, for streams with
// three replicas. Its election takes about a second.
func NATSCluster(t testing.TB, options ...NATSOption) *Cluster {
	t.Helper()
	cfg := natsConfig(t, options)
	for attempt := 1; ; attempt++ {
		cluster, err := startCluster(t, 3, cfg)
		if err != nil && attempt < clusterAttempts {
			t.Logf("start the NATS cluster again: %v", err) // another process may have taken a route's port
			continue
		}
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, cluster.Close()) })
		return cluster
	}
}

// startCluster starts n servers, each in its own directory under cfg.DataDir, and
// returns when they have a leader that every one of them knows.
func startCluster(t testing.TB, n int, cfg embedded.NATSConfig) (_ *Cluster, err error) {
	ports, err := embedded.FreePorts(n)
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
		node.DataDir = filepath.Join(cfg.DataDir, fmt.Sprintf("node-%d", i+1))
		node.Adjust = func(o *server.Options) { joinCluster(o, i, ports) }
		s, err := embedded.StartNATS(node, Logger(t).With("node", i+1))
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, s)
	}
	return c, c.AwaitReady(electionTimeout)
}

// joinCluster makes o the options of node i of a cluster whose routes listen on ports.
func joinCluster(o *server.Options, i int, ports []int) {
	o.ServerName = fmt.Sprintf("lakepulse-%d", i+1)
	o.Cluster = server.ClusterOpts{Name: "lakepulse", Host: "127.0.0.1", Port: ports[i]}
	for _, port := range ports {
		route := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: route})
	}
}

// AwaitReady waits until the running servers have a leader and are up to date with it:
// a stream created before that fails with "no suitable peers".
func (c *Cluster) AwaitReady(timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !c.ready() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("NATS cluster has no leader after %s", timeout)
		}
	}
	return nil
}

func (c *Cluster) ready() bool {
	leaders, running := 0, 0
	for _, node := range c.Nodes {
		srv := node.Server()
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
		return nil, fmt.Errorf("connect to the NATS cluster: %w", err)
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
