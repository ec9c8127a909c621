package aggregate

import "context"

// SetHook has f called between the statements of the runner's transactions.
func SetHook(r *Runner, f func(ctx context.Context, step string) error) { r.store.hook = f }

// Turn does one turn of the service's loop.
func Turn(ctx context.Context, s *Service) { s.turn(ctx) }

// SetLimits lowers how many rows and keys of an hour are held at once, and with
// them how many rows are fetched of a larger one.
func SetLimits(r *Runner, rows, keys int) {
	r.store.limits = limits{rows: rows, keys: keys, fetch: max(rows, 1)}
}

// SetClashes sets how often a transaction may clash before it is given up.
func SetClashes(r *Runner, n int) { r.clashes = n }
