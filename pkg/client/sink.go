package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Sink takes batches of events: ingest's HTTP endpoint by default, or whatever
// Config.Sink is, such as a publisher to JetStream.
//
// Send returns nil once the batch is durable, except for the events it lists as
// rejected. It must not keep the batch: its memory is used again. The same batch
// comes again, with the same ids, after any error but a [Failure] that says
// otherwise. dropped is how many events of the kind the client had to drop since
// the last batch that was accepted. Each kind has one goroutine that sends, so
// Send is called by two at a time at most.
type Sink interface {
	Send(ctx context.Context, b *event.Batch, dropped int64) (Result, error)
}

// Result is the answer to a batch.
type Result struct {
	Accepted   int // how many are durable
	Rejected   []Rejection
	ServerTime time.Time // zero when not known
}

// Rejection says why one event was refused for good.
type Rejection struct {
	Index  int    `json:"index"`
	ID     string `json:"id"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// Class says what to do about a batch that was not accepted.
type Class int

// The classes.
const (
	Temporary Class = iota // try again, for as long as it takes
	Denied                 // the credentials or the address are wrong: try a few times, slowly
	TooLarge               // send it in halves
	Invalid                // it never will be accepted
)

// Failure is an error of a Sink with its class. Any other error is Temporary.
type Failure struct {
	Class      Class
	RetryAfter time.Duration // 0 when not said
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
