package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

// HeaderCorrelation carries the correlation id, in requests and answers.
const HeaderCorrelation = "X-Correlation-ID"

const maxCorrelation = 128

type correlationKey struct{}

// CorrelationID returns the correlation id of the request ctx belongs to, ""
// outside of one.
func CorrelationID(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey{}).(string)
	return id
}

// WithCorrelationID returns ctx carrying id: for work that starts outside of HTTP.
func WithCorrelationID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, correlationKey{}, id)
}

// correlate takes the request's id where it is fit for a header and a log line,
// and makes one otherwise.
func correlate(r *http.Request) (string, *http.Request) {
	id := r.Header.Get(HeaderCorrelation)
	if !fit(id) {
		id = uuid.NewString()
	}
	return id, r.WithContext(WithCorrelationID(r.Context(), id))
}

// Correlated gives answers their correlation id that NewHandler does not serve.
func Correlated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, r := correlate(r)
		w.Header().Set(HeaderCorrelation, id)
		next.ServeHTTP(w, r)
	})
}

func fit(id string) bool {
	if id == "" || len(id) > maxCorrelation {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
