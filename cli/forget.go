package cli

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/tools/forget"
)

type forgetCmd struct {
	logAndDatabase `embed:""`

	User   string `help:"The user id as the events name it." required:""`
	DryRun bool   `help:"Only count what would be rewritten."`
	Yes    bool   `help:"Erase the user. This cannot be undone."`
}

func (c *forgetCmd) Run(e *env) error {
	if !c.DryRun && !c.Yes {
		return usageError(errors.New("forget cannot be undone: count with --dry-run first, then add --yes"))
	}
	return c.open(e, func(js jetstream.JetStream, pool *pgxpool.Pool) error {
		report, err := forget.User(e.ctx, forget.Params{JS: js, Pool: pool, Now: time.Now, Patience: time.Minute, DryRun: c.DryRun}, c.User)
		out := json.NewEncoder(e.out)
		out.SetIndent("", "  ")
		return errors.Join(err, out.Encode(report))
	})
}
