// Command go is a small shop measured by Lakepulse's Go SDK:
//
//	lakepulse standalone        # in one terminal: http://127.0.0.1:8080
//	go run ./examples/go        # in another:      http://127.0.0.1:8000
package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	lakepulse "github.com/lakepulse/lakepulse/clients/go"
)

//go:embed page.html
var page []byte

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

	cfg := configuration(log)
	lp, err := lakepulse.New(cfg)
	if err != nil {
		return err
	}
	addr := cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:8000")
	server := &http.Server{
		Addr: addr, Handler: lp.Middleware(routes(lp, cfg.URL)), // the line
		ReadHeaderTimeout: 5 * time.Second,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Info("the shop is open", "url", "http://"+addr, "numbers", cfg.URL)

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
	cfg.Exclude = []string{"/tracker.js", "/favicon.ico"}
	cfg.Logger = log
	if cfg.Key == "" {
		cfg.App = cmp.Or(cfg.App, "example-go")
		cfg.DevUser = cmp.Or(cfg.DevUser, "dev@localhost")
	}
	return cfg
}

var orders = map[int]string{1: "tea", 2: "coffee", 3: "sugar"}

func routes(lp *lakepulse.Client, collector string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page) // the browser may have left
	})
	mux.Handle("GET /tracker.js", tracker(collector))
	mux.Handle("/api/v1/metrics/", lp.Relay(lakepulse.RelayConfig{})) // the page's events, on the shop's own origin

	mux.HandleFunc("GET /api/orders", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(5*time.Millisecond + rand.N(75*time.Millisecond)) //nolint:gosec // a request that takes its time
		answer(w, orders)
	})
	mux.HandleFunc("GET /api/orders/{order}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("order"))
		if err != nil || orders[id] == "" {
			http.Error(w, "no such order", http.StatusNotFound)
			return
		}
		answer(w, orders[id])
	})
	mux.HandleFunc("POST /api/reports", func(w http.ResponseWriter, r *http.Request) {
		err := lp.Track(r, lakepulse.UsageEvent{
			EventType: lakepulse.TypeQueryExecuted, UserID: "report@example.com", Metadata: map[string]any{"rows": len(orders)},
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, map[string]int{"rows": len(orders)})
	})
	mux.HandleFunc("GET /api/broken", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
	mux.HandleFunc("GET /api/account", func(w http.ResponseWriter, _ *http.Request) { answer(w, lp.Stats()) })
	return mux
}

// tracker serves the browser tracker from the shop's own origin: the file named
// by LAKEPULSE_TRACKER, or the one built in this checkout, or the collector's.
func tracker(collector string) http.Handler {
	const built = "web/tracker/dist/lakepulse.js"
	file := os.Getenv("LAKEPULSE_TRACKER")
	if _, err := os.Stat(built); file == "" && err == nil {
		file = built
	}
	if file != "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	}
	target, err := url.JoinPath(collector, "lakepulse.js")
	if err != nil { // the client has checked it
		target = collector
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fetch(w, r, target) })
}

func fetch(w http.ResponseWriter, r *http.Request, target string) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, target, nil)
	if err != nil {
		http.Error(w, "no tracker", http.StatusBadGateway)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, "the collector has no tracker for us now", http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or the browser has left
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // half a script must not look whole
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, fmt.Sprint(err), http.StatusInternalServerError)
	}
}
