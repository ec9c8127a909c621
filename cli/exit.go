package cli

import (
	"errors"
	"fmt"
	"io"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// usageError marks an error as wrong usage: of a flag, a variable or the
// configuration they add up to. nil stays nil.
func usageError(err error) error {
	if err == nil {
		return nil
	}
	return exitError{code: exitUsage, err: err}
}

// fail writes the error and returns its exit code.
func fail(errs io.Writer, err error) int {
	// Nothing is left to do when the error cannot be written either.
	_, _ = fmt.Fprintf(errs, "lakepulse: %v\n", err)
	if e, ok := errors.AsType[exitError](err); ok {
		return e.code
	}
	return exitFailed
}
