package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// A log's replicas and bounds are settings of the installation, not of a process:
// one that starts with other flags must not turn three replicas into one. So a
// start keeps what is there and says what differs; [Topology.Reshape] changes it.

// Reconcile makes the streams that are missing, and brings the others up to date
// in everything but their replicas and byte bounds; their age only grows.
func (t Topology) Reconcile(ctx context.Context, js jetstream.JetStream) error {
	return t.apply(ctx, js, func(have, want jetstream.StreamConfig) jetstream.StreamConfig {
		want.Replicas, want.MaxBytes, want.MaxAge = have.Replicas, have.MaxBytes, max(have.MaxAge, want.MaxAge)
		want.Metadata = have.Metadata // it says which database the log belongs to
		return want
	})
}

// Reshape brings the streams into exactly this shape. Fewer replicas and smaller
// bounds are taken as meant.
func (t Topology) Reshape(ctx context.Context, js jetstream.JetStream) error {
	return t.apply(ctx, js, func(have, want jetstream.StreamConfig) jetstream.StreamConfig {
		if t.Replicas == 0 {
			want.Replicas = have.Replicas
		}
		want.Metadata = have.Metadata
		return want
	})
}

func (t Topology) apply(ctx context.Context, js jetstream.JetStream, merge func(have, want jetstream.StreamConfig) jetstream.StreamConfig) error {
	if err := t.Validate(); err != nil {
		return err
	}
	for _, want := range t.streams() {
		if err := applyStream(ctx, js, want, merge); err != nil {
			return explained(fmt.Errorf("stream %s: %w", want.Name, err))
		}
	}
	return nil
}

// applyStream asks before it changes: a role that may only read the shape of the
// log starts all the same when the shape is right.
func applyStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, merge func(have, want jetstream.StreamConfig) jetstream.StreamConfig) error {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, want) // which succeeds too when another has just made the same
		return err
	}
	if err != nil {
		return err
	}
	have := s.CachedInfo().Config
	merged := merge(have, want)
	if sameShape(have, merged) {
		return nil
	}
	_, err = js.UpdateStream(ctx, merged)
	return err
}

// sameShape compares what Lakepulse decides; the server fills in the rest.
func sameShape(a, b jetstream.StreamConfig) bool {
	return a.Description == b.Description && slices.Equal(a.Subjects, b.Subjects) && a.Discard == b.Discard &&
		a.Retention == b.Retention && a.Storage == b.Storage && a.Replicas == b.Replicas && a.MaxAge == b.MaxAge &&
		a.MaxBytes == b.MaxBytes && a.MaxMsgSize == b.MaxMsgSize && a.AllowDirect == b.AllowDirect && a.Duplicates == b.Duplicates
}

// State is what the log's leader says of it.
type State struct {
	Replicas    int
	Differences []string // between the log's shape and the topology that was asked for
}

// Read asks the log's leader whether it is there and takes events. Its error says
// why it does not.
func (t Topology) Read(ctx context.Context, js jetstream.JetStream) (State, error) {
	s, err := js.Stream(ctx, Name)
	if err != nil {
		return State{}, explained(fmt.Errorf("stream %s: %w", Name, err))
	}
	info := s.CachedInfo()
	state := State{Replicas: info.Config.Replicas, Differences: t.differences(info.Config)}
	if info.Cluster != nil && info.Config.Replicas > 1 && info.Cluster.Leader == "" {
		return state, fmt.Errorf("stream %s has no leader: are most of its servers up?", Name)
	}
	if bound := info.Config.MaxBytes; bound > 0 && info.State.Bytes+maxMessage > uint64(bound) {
		return state, fmt.Errorf("stream %s is full: it holds %d of %d bytes", Name, info.State.Bytes, bound)
	}
	return state, nil
}

func (t Topology) differences(have jetstream.StreamConfig) []string {
	var list []string
	if t.Replicas > 0 && t.Replicas != have.Replicas {
		list = append(list, fmt.Sprintf("the log has %d replicas, this process was told %d", have.Replicas, t.Replicas))
	}
	if t.MaxBytes > 0 && t.MaxBytes != have.MaxBytes {
		list = append(list, fmt.Sprintf("the log may take %d bytes, this process was told %d", have.MaxBytes, t.MaxBytes))
	}
	return list
}

// JetStream's codes for what an operator has to change.
const (
	codeBytesRequired   jetstream.ErrorCode = 10113
	codeNoReplicas      jetstream.ErrorCode = 10074
	codeNoPeers         jetstream.ErrorCode = 10005
	codeStorageExceeded jetstream.ErrorCode = 10047
	codeNotEnabled      jetstream.ErrorCode = 10076
	codeNotForAccount   jetstream.ErrorCode = 10039
)

// remedies say what to do about an answer of the server.
var remedies = map[jetstream.ErrorCode]string{
	codeBytesRequired:   "this account asks for byte limits: set --stream-max-bytes and --dead-max-bytes",
	codeNoReplicas:      "replicas need a cluster: set --stream-replicas 1, or connect to the cluster",
	codeNoPeers:         "the cluster has fewer servers than --stream-replicas",
	codeStorageExceeded: "the limits of the account or the disk are smaller than what the log asks for: lower --stream-max-bytes",
	codeNotEnabled:      "JetStream is off on this server",
	codeNotForAccount:   "JetStream is off for this account",
}

// explained adds what to do to an error of JetStream.
func explained(err error) error {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && remedies[api.ErrorCode] != "" {
		return fmt.Errorf("%w (%s)", err, remedies[api.ErrorCode])
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w (no answer: JetStream may be without a leader, or this user without the right to ask)", err)
	}
	return err
}
