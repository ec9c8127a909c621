package auth

import (
	"net/http"
	"strings"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// DevUser is who calls under dev authentication when no header says otherwise.
const DevUser = "dev@localhost"

// Dev believes everybody: every caller is an administrator, under the name in
// X-Forwarded-Email. It must only ever listen on loopback, which the command
// line enforces. API keys are checked all the same, so that what an app does
// with its key can be tried on one machine.
type Dev struct {
	keys KeyVerifier
}

// NewDev returns the authenticator of a developer's machine. Without keys
// (nil) a request that carries one is refused.
func NewDev(keys KeyVerifier) *Dev { return &Dev{keys: keys} }

// Authenticate implements Authenticator.
func (d *Dev) Authenticate(r *http.Request) (Caller, error) {
	if key := keyOf(r); key != "" {
		return appCaller(d.keys, key)
	}
	user := strings.TrimSpace(r.Header.Get(HeaderEmail))
	if user == "" || len(user) > event.MaxText {
		user = DevUser
	}
	return Caller{Kind: KindUser, UserID: user, Admin: true}, nil
}
