package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server is an HTTP server with bounds on everything a client could stretch.
type Server struct {
	http *http.Server
	ln   net.Listener
	done chan error
}

// Listen opens addr. Nothing is served before Serve.
func Listen(ctx context.Context, addr string, handler http.Handler, log *slog.Logger) (*Server, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	// The Apps proxy speaks HTTP/2 in the clear.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &Server{
		ln:   ln,
		done: make(chan error, 1),
		http: &http.Server{
			Handler:           handler,
			Protocols:         protocols,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       60 * time.Second,
			WriteTimeout:      90 * time.Second,
			IdleTimeout:       120 * time.Second,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}, nil
}

// Addr returns the address the server listens on, its port found.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Serve answers requests in the background. failed is called once if serving
// ends for another reason than Shutdown.
func (s *Server) Serve(failed func(error)) {
	go func() {
		err := s.http.Serve(s.ln)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		} else {
			failed(fmt.Errorf("serve %s: %w", s.Addr(), err))
		}
		s.done <- err
	}()
}

// Shutdown stops accepting, lets what is in flight finish until ctx ends, then
// cuts what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("shut down %s: %w", s.Addr(), err), s.http.Close())
	}
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
