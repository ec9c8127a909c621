package testkit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	held := map[string]string{
		"an API key":              "key=lp_abcdefghijkl_" + strings.Repeat("aB3-_", 8) + "xyz",
		"a password of Postgres":  `error="cannot parse postgres://lakepulse:hunter2@127.0.0.1:5432/x"`,
		"a password of NATS":      "server=nats://lakepulse:hunter2@127.0.0.1:4222",
		"a bearer token":          "Authorization: Bearer abcdef0123456789",
		"a personal access token": "token dapi0123456789abcdef01",
		"a JWT":                   "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abc",
	}
	for name, line := range held {
		require.NotNil(t, secretIn([]byte(line)), name)
	}
	for _, line := range []string{
		`msg="serving" address=http://127.0.0.1:8080`, "key=lp_abcdefghijkl revoked", "nats://127.0.0.1:4222", "the bearer of news",
	} {
		require.Nil(t, secretIn([]byte(line)), line)
	}
}
