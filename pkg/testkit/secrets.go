package testkit

import (
	"regexp"
	"testing"
)

// secrets are the shapes of what must never be in a log: API keys, passwords in
// addresses, bearer tokens, personal access tokens and JWTs.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`lp_[a-z0-9]{12}_[A-Za-z0-9_-]{43}`),
	regexp.MustCompile(`(?i)\b(?:postgres|postgresql|nats|tls|https?)://[^\s:/@"]*:[^\s@/"]+@`),
	regexp.MustCompile(`(?i)\bbearer +[A-Za-z0-9._~+/-]{8,}`),
	regexp.MustCompile(`\bdapi[0-9a-f]{16,}`),
	regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`),
	regexp.MustCompile(`(?i)\bpassword=[^\s*x]`),
}

// RequireNoSecrets fails the test when a log holds a secret. Every log written
// through [Logger] is looked at; logs of processes are to be passed here.
func RequireNoSecrets(t testing.TB, log []byte) {
	t.Helper()
	if shape := secretIn(log); shape != nil {
		t.Errorf("a secret is in the log (it looks like %s)", shape)
	}
}

func secretIn(log []byte) *regexp.Regexp {
	for _, shape := range secrets {
		if shape.Match(log) {
			return shape
		}
	}
	return nil
}
