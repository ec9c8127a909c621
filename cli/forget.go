package cli

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/tools/forget"
)

// forgetCmd erases a user. The database flags bring the data directory too.
type forgetCmd struct {
	natsFlags `embed:""`

	DatabaseURL string `name:"database" help:"Postgres; without it the PG* variables." env:"DATABASE_URL" placeholder:"URL"`
	User        string `help:"The user id, as events name it." required:""`
	DryRun      bool   `help:"Only say what would be rewritten."`
	Yes         bool   `help:"Do it: there is no way back."`
}

func (c *forgetCmd) Run(e *env) error {
	if !c.DryRun && !c.Yes {
		return errors.New("forgetting cannot be undone: look with --dry-run, then add --yes")
	}
	nc, js, err := c.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	tools := databaseFlags{dataFlag: c.dataFlag, DatabaseURL: c.DatabaseURL}
	cfg, err := tools.config(e)
	if err != nil {
		return err
	}
	pool, err := postgres.Open(e.ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	report, err := forget.User(e.ctx, forget.Params{JS: js, Pool: pool, Now: time.Now, Patience: time.Minute, DryRun: c.DryRun}, c.User)
	out := json.NewEncoder(e.out)
	out.SetIndent("", "  ")
	return errors.Join(err, out.Encode(report))
}
