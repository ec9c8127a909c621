package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

type settingsCmd struct {
	natsFlags `embed:""`

	DatabaseURL string `name:"database" help:"Postgres; without it the PG* variables." env:"DATABASE_URL" placeholder:"URL"`

	List settingsListCmd `cmd:"" default:"1" help:"List the recorded settings, who set them and when."`
	Set  settingsSetCmd  `cmd:"" help:"Change a recorded setting: settings set raw-retention=720h."`
}

func (c *settingsCmd) openDatabase(e *env) (*pgxpool.Pool, error) {
	tools := databaseFlags{dataFlag: c.dataFlag, DatabaseURL: c.DatabaseURL, MaxConns: toolConns}
	cfg, err := tools.config(e)
	if err != nil {
		return nil, err
	}
	return postgres.Open(e.ctx, cfg)
}

type settingsListCmd struct{}

func (settingsListCmd) Run(e *env, c *commands) error {
	pool, err := c.Settings.openDatabase(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	recorded, err := metricsdb.ListSettings(e.ctx, pool)
	if err != nil {
		return err
	}
	byName := map[string]metricsdb.Setting{}
	for _, s := range recorded {
		byName[s.Name] = s
	}
	for _, name := range settings.Names() {
		s, found := byName[name]
		when := s.SetAt.Format(time.RFC3339)
		if !found {
			s.Value, s.SetBy, when = settings.Defaults().Get(name), "default, not recorded yet", "-"
		}
		if _, err := fmt.Fprintf(e.out, "%s\t%s\t%s\t%s\n", name, s.Value, when, s.SetBy); err != nil {
			return err
		}
	}
	return nil
}

type settingsSetCmd struct {
	Change string `arg:"" help:"NAME=VALUE." placeholder:"NAME=VALUE"`
	Yes    bool   `help:"Do it although data is deleted for good."`
}

func (s *settingsSetCmd) Run(e *env, c *commands) error {
	name, text, ok := strings.Cut(s.Change, "=")
	if !ok {
		return fmt.Errorf("%q: must be NAME=VALUE, such as %s=%s", s.Change, settings.RawRetention, settings.Defaults().Get(settings.RawRetention))
	}
	pool, err := c.Settings.openDatabase(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	before, err := metricsdb.ReadState(e.ctx, pool)
	if err != nil {
		return err
	}
	before.Values = before.Or(settings.Defaults())
	after := before.Values
	if err := after.Set(name, text); err != nil {
		return err
	}
	if err := after.Validate(); err != nil {
		return err
	}
	if err := s.explain(e, name, before, after); err != nil {
		return err
	}
	if _, _, err := metricsdb.ChangeSetting(e.ctx, pool, name, text, userName()); err != nil {
		return err
	}
	state, err := metricsdb.ReadState(e.ctx, pool)
	if err == nil {
		state.Values = state.Or(settings.Defaults())
		err = c.Settings.apply(e, state)
	}
	if err != nil {
		return fmt.Errorf("recorded; the roles pass it on to the event log within a minute, this command could not: %w", err)
	}
	_, err = fmt.Fprintf(e.out, "%s is %s now. Roles that are told another value by a flag or variable do not start any more.\n", name, after.Get(name))
	return err
}

// explain says what will happen, and refuses a change that deletes data until it
// is confirmed.
func (s *settingsSetCmd) explain(e *env, name string, before settings.State, after settings.Values) error {
	deletes := false
	if _, err := fmt.Fprintf(e.errs, "%s: %s → %s\n", name, before.Get(name), after.Get(name)); err != nil {
		return err
	}
	for _, c := range settings.Explain(name, before, after, time.Now()) {
		deletes = deletes || c.Deletes
		if _, err := fmt.Fprintln(e.errs, "  "+c.Text); err != nil {
			return err
		}
	}
	if deletes && !s.Yes {
		return errors.New("nothing is changed yet: repeat the command with --yes")
	}
	return nil
}

// apply gives the log its shape and tells ingest.
func (c *settingsCmd) apply(e *env, state settings.State) error {
	nc, js, err := c.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(e.ctx, 30*time.Second)
	defer cancel()
	_, exists, err := stream.ReadShape(ctx, js)
	if err == nil && exists {
		err = stream.SetShape(ctx, js, stream.Shape{Replicas: state.StreamReplicas, MaxBytes: state.StreamMaxBytes, MaxAge: state.RawRetention + 24*time.Hour})
	}
	if err != nil {
		return err
	}
	kv, err := settings.EnsureBucket(ctx, js, state.StreamReplicas)
	if err != nil {
		return err
	}
	return settings.Publish(ctx, kv, state)
}
