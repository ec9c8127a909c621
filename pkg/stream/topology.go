package stream

import (
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// The names everything else is found by.
const (
	Name     = "METRICS"
	DeadName = "METRICS_DEAD"
	// Consumer is the durable pull consumer all writers share.
	Consumer = "writer"

	prefix     = "metrics."
	deadPrefix = "metrics_dead."
	ledgerKind = "ledger"
)

// Topology is what of the streams' shape an installation may choose.
type Topology struct {
	// Replicas of each stream: 1, or 3 in a cluster. 0 leaves a log that exists as
	// it is, and makes a new one with 1.
	Replicas int
	// MaxAge is how long the log keeps messages: a day more than the raw window,
	// so that every raw row can be rebuilt from it.
	MaxAge time.Duration
	// MaxBytes bounds the log on disk; -1 leaves it to the server's limit. A full
	// log refuses, and ingest answers 503. A log that exists keeps its bound.
	MaxBytes int64
	// DeadMaxBytes bounds the dead letters on disk; -1 leaves it to the server's limit.
	DeadMaxBytes int64
	// AckWait is how long a writer may hold a message without a sign of life.
	AckWait time.Duration
	// MaxAckPending bounds the messages all writers together hold.
	MaxAckPending int
}

// deadAge is how long dead letters wait for someone to look.
const deadAge = 90 * 24 * time.Hour

// DefaultTopology returns a single-replica log that outlives a raw window of 7 days by one.
func DefaultTopology() Topology {
	return Topology{MaxAge: 8 * 24 * time.Hour, MaxBytes: -1, DeadMaxBytes: -1, AckWait: 30 * time.Second, MaxAckPending: 1000}
}

// Validate returns every rule the topology breaks.
func (t Topology) Validate() error {
	var errs []error
	if t.Replicas < 0 || t.Replicas > 5 {
		errs = append(errs, errors.New("stream replicas: must be between 1 and 5, or 0 for those the log has"))
	}
	if t.MaxAge < time.Hour {
		errs = append(errs, errors.New("stream max age: must be at least an hour"))
	}
	if t.AckWait < time.Second {
		errs = append(errs, errors.New("ack wait: must be at least a second"))
	}
	if t.MaxAckPending < 1 {
		errs = append(errs, errors.New("max ack pending: must be at least 1"))
	}
	return errors.Join(errs...)
}

func (t Topology) streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{{
		Name:        Name,
		Description: "Lakepulse: accepted events, the source of truth",
		Subjects:    []string{prefix + "performance.*", prefix + "usage.*", prefix + ledgerKind + ".*"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		Replicas:    max(1, t.Replicas),
		MaxAge:      t.MaxAge,
		MaxBytes:    t.MaxBytes,
		MaxMsgSize:  maxMessage,
		AllowDirect: true,
		// No message carries an id for JetStream to compare: events have their own.
		Duplicates: time.Second,
	}, {
		Name:        DeadName,
		Description: "Lakepulse: what could not be stored, and why",
		Subjects:    []string{deadPrefix + ">"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		Replicas:    max(1, t.Replicas),
		MaxAge:      deadAge,
		MaxBytes:    t.DeadMaxBytes,
		AllowDirect: true,
		Duplicates:  time.Hour, // a writer that dies between dead-lettering and its ack does it again
	}}
}

// consumer is the configuration of the writers' shared consumer.
func (t Topology) consumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       Consumer,
		Description:   "Lakepulse: the writers",
		AckPolicy:     jetstream.AckExplicitPolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait:       t.AckWait,
		MaxAckPending: t.MaxAckPending,
		MaxDeliver:    -1,
	}
}

// Subject returns the subject of an app's events of a kind. A dot in the name
// would open a new level of the subject: it is escaped.
func Subject(kind event.Kind, app string) string {
	return prefix + string(kind) + "." + escape(app)
}

// DeadSubject returns the subject of dead letters of an app and kind.
func DeadSubject(kind event.Kind, app string) string {
	return deadPrefix + string(kind) + "." + escape(app)
}

// Parse returns the kind and app of a subject of either stream. The kind is ""
// for subjects of neither.
func Parse(subject string) (kind event.Kind, app string) {
	rest, ok := strings.CutPrefix(subject, prefix)
	if !ok {
		if rest, ok = strings.CutPrefix(subject, deadPrefix); !ok {
			return "", ""
		}
	}
	k, app, ok := strings.Cut(rest, ".")
	if !ok {
		return "", ""
	}
	return event.Kind(k), unescape(app)
}

func escape(app string) string   { return strings.ReplaceAll(app, ".", "%2E") }
func unescape(app string) string { return strings.ReplaceAll(app, "%2E", ".") }
