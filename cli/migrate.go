package cli

import (
	"errors"
	"fmt"

	"github.com/lakepulse/lakepulse/pkg/postgres"
)

type migrateCmd struct {
	databaseFlags `embed:""`

	Up      migrateUpCmd      `cmd:"" help:"Migrate to the newest version."`
	Down    migrateDownCmd    `cmd:"" help:"Migrate back by some versions; with --all delete every table and its data."`
	Version migrateVersionCmd `cmd:"" help:"Print the version of the schema."`
}

type migrateUpCmd struct{}

func (migrateUpCmd) Run(e *env, c *commands) error {
	cfg, err := c.Migrate.config(e)
	if err != nil {
		return err
	}
	return postgres.Migrate(e.ctx, cfg)
}

type migrateDownCmd struct {
	Steps int  `help:"Number of versions to go back." default:"1"`
	All   bool `help:"Go back to an empty database: every table is deleted."`
}

func (m migrateDownCmd) Run(e *env, c *commands) error {
	cfg, err := c.Migrate.config(e)
	if err != nil {
		return err
	}
	steps := m.Steps
	if m.All {
		steps = 0
	} else if steps < 1 {
		return usageError(errors.New("--steps: must be at least 1"))
	}
	return postgres.MigrateDown(e.ctx, cfg, steps)
}

type migrateVersionCmd struct{}

func (migrateVersionCmd) Run(e *env, c *commands) error {
	cfg, err := c.Migrate.config(e)
	if err != nil {
		return err
	}
	v, dirty, err := postgres.MigrationVersion(e.ctx, cfg)
	if err != nil {
		return err
	}
	state := ""
	if dirty {
		state = " (a migration was interrupted)"
	}
	_, err = fmt.Fprintf(e.out, "%d%s\n", v, state)
	return err
}
