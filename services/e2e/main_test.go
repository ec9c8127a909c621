package e2e

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// A clustered NATS server that is stopped while it catches up now and then leaves
// a stream's flusher, and with it the server's clock, behind. Neither is ours.
func TestMain(m *testing.M) {
	const server = "github.com/nats-io/nats-server/v2/server"
	testkit.Main(m,
		goleak.IgnoreTopFunction(server+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction(server+"/ats.Register.func1"))
}
