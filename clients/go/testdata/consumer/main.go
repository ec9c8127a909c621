// Command shop is an app that had its own versions of pgx and nats.go before it
// added the client.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/orders/{order}", func(w http.ResponseWriter, r *http.Request) {
		config, err := pgx.ParseConfig("postgres://127.0.0.1/shop")
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(w, r.PathValue("order"), config.Database, nats.Version)
	})
	handler, done := measured(mux)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/orders/7", nil))
	fmt.Fprint(os.Stdout, answer.Body.String())
	fmt.Fprintln(os.Stdout, done(context.Background()))
}
