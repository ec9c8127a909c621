package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// otherVariables are variables LAKEPULSE_… without a flag: of pkg/auth, of
// pkg/lakebase, of the client libraries, which may share the environment, and of the
// tests.
var otherVariables = []string{
	"LAKEPULSE_URL", "LAKEPULSE_API_KEY", "LAKEPULSE_APP", "LAKEPULSE_APP_VERSION", "LAKEPULSE_INSTANCE", "LAKEPULSE_DEV_USER", "LAKEPULSE_TRUST_FORWARDED",
	"LAKEPULSE_ADMIN_GROUPS", "LAKEPULSE_SERVICE_PRINCIPALS", "LAKEPULSE_PG_SSLMODE", "LAKEPULSE_PG_CONN_LIFETIME", "LAKEPULSE_TEST_DATABASE_URL",
}

// checkVariables refuses variables LAKEPULSE_… that nothing reads.
func checkVariables(parser *kong.Kong, environ []string) error {
	known := slices.Clone(otherVariables)
	nodes := []*kong.Node{parser.Model.Node}
	for len(nodes) > 0 {
		node := nodes[0]
		nodes = append(nodes[1:], node.Children...)
		for _, flag := range node.Flags {
			known = append(known, flag.Envs...)
		}
	}
	var errs []error
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "LAKEPULSE_") && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("unknown variable %s; did you mean %s?", name, nearest(name, known)))
		}
	}
	return errors.Join(errs...)
}

// nearest returns the name with the smallest edit distance.
func nearest(name string, known []string) string {
	best, least := "", len(name)+64
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance returns the number of characters to insert, delete or replace to make b
// from a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
