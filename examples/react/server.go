// Command react serves a React page, the API it asks, and the relay that takes
// the page's events. examples/react/run builds the page and starts it.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path"
	"syscall"
	"time"

	lakepulse "github.com/lakepulse/lakepulse/clients/go"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	lp, err := lakepulse.New(configuration(log))
	if err != nil {
		return err
	}
	page := os.DirFS(cmp.Or(os.Getenv("PAGE"), "examples/react/dist"))
	addr := cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:8000")
	server := &http.Server{Addr: addr, Handler: lp.Middleware(routes(lp, page)), ReadHeaderTimeout: 5 * time.Second} // the line
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Info("the shop is open", "url", "http://"+addr)

	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(last), lp.Close(last)) // the server first: its last requests count too
}

// configuration reads the environment. At one's desk nobody is signed in and a
// standalone needs no key; in Databricks Apps the proxy names the user.
func configuration(log *slog.Logger) lakepulse.Config {
	cfg := lakepulse.FromEnv()
	cfg.URL = cmp.Or(cfg.URL, "http://127.0.0.1:8080")
	cfg.AppVersion = cmp.Or(cfg.AppVersion, "1.0.0")
	cfg.Exclude = []string{"/assets/*"}
	cfg.Logger = log
	if cfg.Key == "" {
		cfg.App = cmp.Or(cfg.App, "example-react")
		cfg.DevUser = cmp.Or(cfg.DevUser, "dev@localhost")
	}
	return cfg
}

var orders = map[string]string{"1": "tea", "2": "coffee", "3": "sugar"}

func routes(lp *lakepulse.Client, page fs.FS) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/v1/metrics/", lp.Relay(lakepulse.RelayConfig{})) // the page's events, on the shop's own origin
	mux.HandleFunc("GET /api/orders", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, len(orders), "orders") // the browser may have left
	})
	mux.HandleFunc("GET /api/orders/{order}", func(w http.ResponseWriter, r *http.Request) {
		name, ok := orders[r.PathValue("order")]
		if !ok {
			http.Error(w, "no such order", http.StatusNotFound)
			return
		}
		_, _ = fmt.Fprintln(w, name) // the browser may have left
	})
	mux.Handle("/assets/", http.FileServerFS(page))
	mux.HandleFunc("/{view...}", func(w http.ResponseWriter, r *http.Request) {
		if path.Ext(r.URL.Path) != "" {
			http.NotFound(w, r)
			return
		}
		http.ServeFileFS(w, r, page, "index.html") // every view is the same page
	})
	return mux
}
