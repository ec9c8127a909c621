package client

// ReducePath returns a path whose variable parts (numbers, UUIDs, long hex) are
// replaced by {id}: the endpoint of a request whose route template is not known.
// It bounds the length, not the number of distinct results.
func ReducePath(path string) string { return reducePath(path) }

// Excluded reports whether a path is never recorded: /health, /ready, /ping and
// what is under /internal/ and /admin/system/.
func Excluded(path string) bool { return exclusions(nil).match(path) }
