package rig

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/lakepulse/lakepulse/pkg/embedded"
)

// NATS is a NATS server with JetStream in a process of its own.
type NATS struct {
	*Process

	URL string
}

// ServeNATS is what that process does: this program, started again. It returns
// when ctx ends.
func ServeNATS(ctx context.Context, dir string, relaxed bool, log *slog.Logger) error {
	server, err := embedded.StartNATS(embedded.NATSConfig{DataDir: dir, RelaxedSync: relaxed}, log)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return server.Close()
}

// StartNATS starts a server whose streams live in dir: with an fsync before
// every acknowledgement, or relaxed, with one every two minutes.
func StartNATS(ctx context.Context, dir, name string, relaxed bool) (*NATS, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, name)
	args := []string{"nats", data}
	if relaxed {
		args = append(args, "relaxed")
	}
	p, err := Start(Command{Name: name, Path: self, Args: args, Dir: dir})
	if err != nil {
		return nil, err
	}
	var url string
	err = p.until(ctx, func() bool {
		content, err := os.ReadFile(filepath.Join(data, "nats.url")) //nolint:gosec // our own file
		url = strings.TrimSpace(string(content))
		return err == nil && url != ""
	})
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	return &NATS{Process: p, URL: url}, nil
}
