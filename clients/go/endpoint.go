package lakepulse

import (
	"strings"

	"github.com/lakepulse/lakepulse/clients/go/rules"
)

// otherEndpoint takes the requests whose endpoint would be one too many.
const otherEndpoint = "{other}"

// pathNames names endpoints after paths, at most limit of them: each name is a row
// per hour in the database. For use by one goroutine.
type pathNames struct {
	limit int
	seen  map[string]struct{}
}

func (n *pathNames) name(path string) string {
	name := rules.ReducePath(path)
	if _, ok := n.seen[name]; ok {
		return name
	}
	if len(n.seen) >= n.limit {
		return otherEndpoint
	}
	name = strings.Clone(name) // it may share memory with a request's line, and it stays
	n.seen[name] = struct{}{}
	return name
}
