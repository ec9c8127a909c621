package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lakepulse/lakepulse/pkg/apps"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// bringTimeout bounds the attempt to bring a change to the event log.
const bringTimeout = 10 * time.Second

// registryFlags say how to reach the record of apps: the database, and the event
// log, to which changes are brought at once where it can be reached.
type registryFlags struct {
	logAndDatabase `embed:""`
}

// read runs do on the record.
func (f *registryFlags) read(e *env, do func(context.Context, *apps.Registry) error) error {
	tools := databaseFlags{dataFlag: f.dataFlag, DatabaseURL: f.DatabaseURL, MaxConns: 2}
	cfg, err := tools.config(e)
	if err != nil {
		return err
	}
	pool, err := postgres.Open(e.ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(e.ctx, apps.NewRegistry(pool, time.Now))
}

// change runs do on the record and brings the change to the event log. A log that
// cannot be reached from here is no error: a running installation brings the
// change there by itself.
func (f *registryFlags) change(e *env, do func(context.Context, *apps.Registry) error) error {
	return f.read(e, func(ctx context.Context, registry *apps.Registry) error {
		if err := do(ctx, registry); err != nil {
			return err
		}
		if err := f.bring(ctx, e, registry); err != nil {
			_, err = fmt.Fprintf(e.errs, "The event log cannot be reached from here (%v). A running installation applies the change within 10 seconds.\n", err)
			return err
		}
		return nil
	})
}

func (f *registryFlags) bring(ctx context.Context, e *env, registry *apps.Registry) error {
	ctx, cancel := context.WithTimeout(ctx, bringTimeout)
	defer cancel()
	nc, js, err := f.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	kv, err := js.KeyValue(ctx, auth.Bucket)
	if err != nil {
		return err
	}
	_, err = auth.NewMirror(kv).Fill(ctx, registry.Directory)
	return err
}

type appsCmd struct {
	registryFlags `embed:""`

	List      appsListCmd      `cmd:"" help:"List the recorded apps."`
	Add       appsAddCmd       `cmd:"" help:"Record an app."`
	Remove    appsRemoveCmd    `cmd:"" help:"Remove an app's record with its keys, service principals and readers. Its events stay."`
	Principal appsPrincipalCmd `cmd:"" help:"Let a service principal send for an app."`
	Reader    appsReaderCmd    `cmd:"" help:"Let a person or a group read the numbers of an app."`
}

type appsListCmd struct{}

func (appsListCmd) Run(e *env, c *commands) error {
	return c.Apps.read(e, func(ctx context.Context, registry *apps.Registry) error {
		list, err := registry.List(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
		if _, err := fmt.Fprintln(table, "APP\tACTIVE KEYS\tSERVICE PRINCIPALS\tREADERS\tNOTE"); err != nil {
			return err
		}
		for i := range list {
			a := &list[i]
			active := 0
			for _, k := range a.Keys {
				if !k.Revoked() {
					active++
				}
			}
			if _, err := fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\n", a.App, active, dash(strings.Join(a.Principals, ", ")), dash(readerNames(a.Readers)), a.Note); err != nil {
				return err
			}
		}
		return table.Flush()
	})
}

func readerNames(readers []apps.Reader) string {
	names := make([]string, len(readers))
	for i, r := range readers {
		names[i] = string(r.Type) + " " + r.Name
	}
	return strings.Join(names, ", ")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

type appsAddCmd struct {
	App  string `arg:"" help:"The app's name, as its events carry it."`
	Note string `help:"For people: whose app it is, say."`
}

func (a appsAddCmd) Run(e *env, c *commands) error {
	return c.Apps.change(e, func(ctx context.Context, registry *apps.Registry) error {
		return registry.Create(ctx, a.App, a.Note, apps.CommandLine)
	})
}

type appsRemoveCmd struct {
	App string `arg:"" help:"The app's name."`
}

func (a appsRemoveCmd) Run(e *env, c *commands) error {
	return c.Apps.change(e, func(ctx context.Context, registry *apps.Registry) error {
		return registry.Remove(ctx, a.App)
	})
}

type appsPrincipalCmd struct {
	App       string `arg:"" help:"The app's name."`
	Principal string `arg:"" help:"The application id of the service principal."`
	Remove    bool   `help:"End it instead."`
}

func (a appsPrincipalCmd) Run(e *env, c *commands) error {
	return c.Apps.change(e, func(ctx context.Context, registry *apps.Registry) error {
		if a.Remove {
			return registry.RemovePrincipal(ctx, a.App, a.Principal)
		}
		return registry.AssignPrincipal(ctx, a.App, a.Principal, apps.CommandLine)
	})
}

type appsReaderCmd struct {
	App    string `arg:"" help:"The app's name."`
	Name   string `arg:"" help:"A userName of the workspace, or with --group the display name of a group."`
	Group  bool   `help:"The name is that of a group."`
	Remove bool   `help:"Take the right away instead."`
}

func (a appsReaderCmd) Run(e *env, c *commands) error {
	reader := apps.Reader{Type: apps.ReaderUser, Name: a.Name}
	if a.Group {
		reader.Type = apps.ReaderGroup
	}
	return c.Apps.change(e, func(ctx context.Context, registry *apps.Registry) error {
		if a.Remove {
			return registry.RemoveReader(ctx, a.App, reader)
		}
		return registry.AddReader(ctx, a.App, reader, apps.CommandLine)
	})
}
