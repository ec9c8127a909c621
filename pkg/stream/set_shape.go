package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Shape is what of the log is a setting of the installation.
type Shape struct {
	Replicas int           // of each stream
	MaxBytes int64         // of the log; -1 leaves it to the server
	MaxAge   time.Duration // of the log's messages
}

// ReadShape returns the log's shape, and whether there is a log.
func ReadShape(ctx context.Context, js jetstream.JetStream) (Shape, bool, error) {
	s, err := js.Stream(ctx, Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Shape{}, false, nil
	}
	if err != nil {
		return Shape{}, false, fmt.Errorf("stream %s: %w", Name, err)
	}
	cfg := s.CachedInfo().Config
	return Shape{Replicas: cfg.Replicas, MaxBytes: cfg.MaxBytes, MaxAge: cfg.MaxAge}, true, nil
}

// SetShape gives the log a shape. Dead letters get the replicas alone. It is for
// the command that changes a setting, and for a log that has less than the
// recorded setting says; no start calls it to take something away.
func SetShape(ctx context.Context, js jetstream.JetStream, shape Shape) error {
	for _, name := range []string{Name, DeadName} {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
		cfg := s.CachedInfo().Config
		cfg.Replicas = shape.Replicas
		if name == Name {
			cfg.MaxBytes, cfg.MaxAge = shape.MaxBytes, shape.MaxAge
		}
		if _, err := js.UpdateStream(ctx, cfg); err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
	}
	return nil
}
