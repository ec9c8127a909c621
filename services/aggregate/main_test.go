package aggregate_test

import (
	"os"
	"testing"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimDSN) != "" {
		os.Exit(victim())
	}
	testkit.Main(m)
}
