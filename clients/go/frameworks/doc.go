// Package frameworks tests the client with real web frameworks. It is a module of
// its own, so that the client's go.mod names none of them.
package frameworks

import (
	_ "github.com/stretchr/testify/require" // of the client's tests, which find it through go.work
	_ "go.uber.org/goleak"
)
