package testkit

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/embedded"
)

// NATSOption changes how NATS and NATSCluster start their servers.
type NATSOption func(*embedded.NATSConfig)

// SyncAlways has the server fsync before each acknowledgement, as production does.
// Tests do without unless they are about just that.
func SyncAlways() NATSOption {
	return func(cfg *embedded.NATSConfig) { cfg.RelaxedSync = false }
}

// NATS starts a server of the test's own, with empty streams.
func NATS(t testing.TB, options ...NATSOption) *embedded.NATS {
	t.Helper()
	server, err := embedded.StartNATS(natsConfig(t, options), Logger(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

func natsConfig(t testing.TB, options []NATSOption) embedded.NATSConfig {
	cfg := embedded.NATSConfig{DataDir: DataDir(t), RelaxedSync: true}
	for _, option := range options {
		option(&cfg)
	}
	return cfg
}
