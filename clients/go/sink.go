package lakepulse

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sink takes batches of events: ingest over HTTP by default, or what Config.Sink
// names, such as a publisher to the log.
//
// Send returns nil once the batch is durable, except for the events it lists as
// rejected. It must not keep the batch: its memory is used again. After any error
// but a [Failure] that says otherwise the same batch comes again with the same
// ids. dropped is the number of events of the kind that the client has dropped
// since the last batch that was accepted. Each kind has one goroutine that sends,
// so at most two goroutines call Send at a time.
type Sink interface {
	Send(ctx context.Context, b *Batch, dropped int64) (Result, error)
}

// Result is the answer to a batch.
type Result struct {
	Accepted   int // events that are durable
	Rejected   []Rejection
	ServerTime time.Time // zero: not known
}

// Rejection says why one event was refused for good.
type Rejection struct {
	Index  int    `json:"index"`
	ID     string `json:"id"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// Class says what to do with a batch that was not accepted.
type Class int

// The classes.
const (
	Temporary Class = iota // send it again until it is accepted
	Denied                 // wrong credentials or address: send it a few times, then drop it
	TooLarge               // send it in halves
	Invalid                // drop it
)

// Failure is an error of a Sink with its class. Any other error is Temporary.
type Failure struct {
	Class      Class
	RetryAfter time.Duration // 0: not said
	Err        error
}

func (f *Failure) Error() string { return fmt.Sprint(f.Err) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// classify reads an error of a Sink.
func classify(err error) Failure {
	var f *Failure
	if errors.As(err, &f) {
		return *f
	}
	return Failure{Class: Temporary, Err: err}
}
