package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/lakepulse/lakepulse/pkg/apps"
)

type keysCmd struct {
	registryFlags `embed:""`

	Create keysCreateCmd `cmd:"" help:"Create a key for an app. It is shown once."`
	List   keysListCmd   `cmd:"" help:"List the keys, without their secrets."`
	Revoke keysRevokeCmd `cmd:"" help:"Revoke a key at once and for good."`
}

type keysCreateCmd struct {
	App  string `help:"App that sends events with the key." required:""`
	Note string `help:"Note to tell keys apart."`
}

func (k keysCreateCmd) Run(e *env, c *commands) error {
	return c.Keys.change(e, func(ctx context.Context, registry *apps.Registry) error {
		plain, key, err := registry.CreateKey(ctx, k.App, k.Note, apps.CommandLine)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(e.out, "%s\n", plain); err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.errs, "Key %s for app %s. Store it now: it is not shown again.\n", key.ID, key.App)
		return err
	})
}

type keysListCmd struct{}

func (keysListCmd) Run(e *env, c *commands) error {
	return c.Keys.read(e, func(ctx context.Context, registry *apps.Registry) error {
		list, err := registry.List(ctx)
		if err != nil {
			return err
		}
		for i := range list {
			for _, k := range list[i].Keys {
				state := "active"
				if k.RevokedAt != nil {
					state = "revoked " + k.RevokedAt.UTC().Format(time.RFC3339)
				}
				if _, err := fmt.Fprintf(e.out, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.App, k.Created.UTC().Format(time.RFC3339), state, k.Note); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type keysRevokeCmd struct {
	ID string `arg:"" help:"Id of the key, as list shows it."`
}

func (k keysRevokeCmd) Run(e *env, c *commands) error {
	return c.Keys.change(e, func(ctx context.Context, registry *apps.Registry) error {
		return registry.RevokeKey(ctx, k.ID)
	})
}
